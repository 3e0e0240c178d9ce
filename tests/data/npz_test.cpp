#include "engine/data/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <numeric>

#include "convoy/error.h"
#include "engine/data/npy.h"
#include "tests/data/npz_files.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kU1 = "'|u1'";

/// Images of 1 x 2 pixels: two to train on, one to test.
std::vector<NpzEntry> keras() {
  return {{"x_train", npy(kU1, "(2, 1, 2)", "abcd")},
          {"y_train", npy(kU1, "(2,)", std::string("\1\0", 2))},
          {"x_test", npy(kU1, "(1, 1, 2)", "ef")},
          {"y_test", npy(kU1, "(1,)", "\2")}};
}

class NpzTest : public testing::Test {
 protected:
  /// Loads these entries, each of which takes the place of Keras' of its name.
  DatasetPair load_with(const std::vector<NpzEntry>& others, const LoadOptions& options = {}) {
    std::vector<NpzEntry> entries = keras();
    for (const NpzEntry& other : others) {
      for (NpzEntry& entry : entries) {
        if (entry.name == other.name) entry.content = other.content;
      }
    }
    write_npz(folder_ / "a.npz", entries, /*deflated=*/true);
    return load("npz", folder_ / "a.npz", options);
  }

  std::string refusal(const std::vector<NpzEntry>& others) {
    return error_of([&] { load_with(others); });
  }

  TemporaryFolder folder_;
};

TEST_F(NpzTest, ReadsWhatKerasShips) {
  for (const bool deflated : {false, true}) {
    write_npz(folder_ / "mnist.npz", keras(), deflated);
    EXPECT_EQ(recognise(folder_ / "mnist.npz"), "npz");
    EXPECT_EQ(recognise(folder_.path()), "npz") << "the folder of one does as well";
    const DatasetPair pair = load("npz", folder_.path());
    EXPECT_EQ(pair.train.image, Shape({1, 1, 2}));
    EXPECT_EQ(pair.train.classes, 3);
    EXPECT_THAT(pair.train.pixels, ElementsAre('a', 'b', 'c', 'd'));
    EXPECT_THAT(pair.train.labels, ElementsAre(1, 0));
    EXPECT_THAT(pair.test.pixels, ElementsAre('e', 'f'));
    EXPECT_THAT(pair.test.labels, ElementsAre(2));
  }
}

TEST_F(NpzTest, ReadsAFolderOfArrays) {
  for (const NpzEntry& entry : keras()) folder_.write("arrays/" + entry.name + ".npy", entry.content);
  EXPECT_EQ(recognise(folder_ / "arrays"), "npz");
  EXPECT_THAT(load("npz", folder_ / "arrays").test.pixels, ElementsAre('e', 'f'));
  std::filesystem::remove(folder_ / "arrays/y_test.npy");
  EXPECT_THAT(error_of([&] { load("npz", folder_ / "arrays"); }),
              HasSubstr("arrays has no array y_test or test_labels"));
}

TEST_F(NpzTest, ChannelsMayBeFirstOrLast) {
  const std::string last = npy(kU1, "(2, 1, 2, 3)", "rgbRGBabcABC"),
                    first = npy(kU1, "(2, 3, 1, 2)", "rRgGbBaAbBcC");
  const std::string test = npy(kU1, "(1, 1, 2, 3)", "rgbRGB");
  for (const std::string& images : {last, first}) {
    const DatasetPair pair = load_with({{"x_train", images}, {"x_test", test}});
    EXPECT_EQ(pair.train.image, Shape({3, 1, 2}));
    EXPECT_EQ(std::string(pair.train.pixels.begin(), pair.train.pixels.end()), "rRgGbBaAbBcC");
  }
}

TEST_F(NpzTest, TakesTheTypesThatArraysHave) {
  const auto pixels = [&](const std::string& descr, const std::string& elements) {
    return load_with({{"x_train", npy(descr, "(2, 1, 2)", elements)}}).train.pixels;
  };
  EXPECT_THAT(pixels("'<f4'", std::string("\0\0\0\0\0\0\x80\x3f\0\0\0\x3f\0\0\x80\x3e", 16)),
              ElementsAre(0, 255, 128, 64));
  EXPECT_THAT(pixels("'>f4'", std::string("\0\0\0\0\x43\x7f\0\0\x40\0\0\0\x3f\x80\0\0", 16)),
              ElementsAre(0, 255, 2, 1));
  // numpy.array([0, 1, 0.5, 0.25], "<f2"), [0, 255, 2, 1] as ">f2", [0, 1, 0.5, 0.25] as "<f8", by tobytes().
  EXPECT_THAT(pixels("'<f2'", std::string("\0\0\0\x3c\0\x38\0\x34", 8)), ElementsAre(0, 255, 128, 64));
  EXPECT_THAT(pixels("'>f2'", std::string("\0\0\x5b\xf8\x40\0\x3c\0", 8)), ElementsAre(0, 255, 2, 1));
  EXPECT_THAT(pixels("'<f8'", std::string("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xf0\x3f"
                                          "\0\0\0\0\0\0\xe0\x3f\0\0\0\0\0\0\xd0\x3f",
                                          32)),
              ElementsAre(0, 255, 128, 64));
  EXPECT_THAT(pixels("'<i2'", std::string("\0\0\xff\0\1\0\2\0", 8)), ElementsAre(0, 255, 1, 2));
  EXPECT_THAT(pixels("'|b1'", std::string("\0\1\1\0", 4)), ElementsAre(0, 255, 255, 0));
  EXPECT_THAT(load_with({{"y_train", npy("'|b1'", "(2,)", std::string("\1\0", 2))}}).train.labels,
              ElementsAre(1, 0));
  EXPECT_THAT(
      load_with({{"y_train", npy("'<i8'", "(2, 1)", std::string("\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16))}})
          .train.labels,
      ElementsAre(2, 1));
  EXPECT_THAT(pixels("\"<u2\"", std::string("\0\0\xff\0\1\0\2\0", 8)), ElementsAre(0, 255, 1, 2))
      << "either quotes";
}

TEST_F(NpzTest, ArraysInFortransOrderAreTurned) {
  // numpy.arange(24).reshape(2, 3, 4).tobytes("F"), of one byte and of two.
  const std::string first("\0\f\4\x10\b\x14\1\r\5\x11\t\x15\2\x0e\6\x12\n\x16\3\x0f\7\x13\v\x17", 24);
  std::string wide;
  for (const char c : first) wide += {c, '\0'};
  std::vector<std::uint8_t> ordered(24);
  std::iota(ordered.begin(), ordered.end(), std::uint8_t{0});
  for (const auto& [type, elements] : {std::pair{kU1, first}, {std::string("'<u2'"), wide}}) {
    const DatasetPair pair = load_with({{"x_train", npy(type, "(2, 3, 4)", elements, "True")},
                                        {"x_test", npy(kU1, "(1, 3, 4)", std::string(12, 'e'))}});
    EXPECT_EQ(pair.train.image, Shape({1, 3, 4}));
    EXPECT_EQ(pair.train.pixels, ordered);
  }
  const auto labels = npy("'<u1'", "(2, 1)", std::string("\2\1", 2), "True");
  EXPECT_THAT(load_with({{"y_train", labels}}).train.labels, ElementsAre(2, 1));
}

TEST_F(NpzTest, DividesAPairOfArrays) {
  write_npz(folder_ / "b.npz",
            {{"images", npy(kU1, "(4, 4)", "abcdefghijklmnop")},
             {"labels", npy(kU1, "(4,)", std::string("\0\1\0\1", 4))}},
            true);
  EXPECT_THAT(error_of([&] { load("npz", folder_ / "b.npz"); }), HasSubstr("b.npz has no test half"));
  LoadOptions options;
  options.split = 0.5;
  const DatasetPair pair = load("npz", folder_ / "b.npz", options);
  EXPECT_EQ(pair.train.image, Shape({1, 2, 2})) << "rows of pixels are squares";
  EXPECT_EQ(pair.train.count(), 2);
  EXPECT_EQ(pair.test.count(), 2);
}

TEST_F(NpzTest, ArraysAreNotScaled) {
  EXPECT_EQ(load_with({}, {.channels = 1, .height = 1, .width = 2}).train.count(), 2);
  EXPECT_THAT(error_of([&] { load_with({}, {.height = 8, .width = 8}); }),
              AllOf(HasSubstr("a.npz: x_train.npy: images [1, 1, 2], where [1, 8, 8] are wanted"),
                    HasSubstr("arrays are not scaled")));
  EXPECT_THAT(error_of([&] { load_with({}, {.channels = 3, .height = 1, .width = 2}); }),
              HasSubstr("where [3, 1, 2] are wanted"));
}

TEST_F(NpzTest, ValidationImagesAreLeftOutAndThatIsSaid) {
  std::vector<NpzEntry> entries = keras();
  entries.push_back({"x_val", npy(kU1, "(1, 1, 2)", "gh")});
  write_npz(folder_ / "A.NPZ", entries, true);
  EXPECT_EQ(recognise(folder_ / "A.NPZ"), "npz");
  std::vector<std::string> said;
  LoadOptions options;
  options.say = [&](const std::string& line) { said.push_back(line); };
  EXPECT_EQ(load("npz", folder_.path(), options).test.count(), 1);
  EXPECT_THAT(said, ElementsAre(HasSubstr("A.NPZ: x_val.npy is left out")));
}

TEST(Npy, SaysWhyAnArrayOfGigabytesIsRefused) {
  const auto refusal = [](const std::string& shape, std::int64_t most_bytes) {
    std::string rest = npy(kU1, shape, "");
    const NpySource source{.read =
                               [&](std::span<std::uint8_t> out) {
                                 const std::size_t got = std::min(out.size(), rest.size());
                                 std::copy_n(rest.begin(), got, out.begin());
                                 rest.erase(0, got);
                                 return got;
                               },
                           .most_bytes = most_bytes,
                           .name = {"a.npy"}};
    return error_of([&] { read_npy(source); });
  };
  constexpr std::int64_t kFive = std::int64_t{5} << 30;
  EXPECT_EQ(refusal("(5, 32768, 32768)", kFive - 1),
            "a.npy: truncated: announces 5368709120 bytes, can hold 5368709119 at most; get the file again");
  EXPECT_EQ(refusal("(5, 32768, 32768)", kFive),  // possible, and then not there
            "a.npy: truncated: announces 5368709120 bytes, has 0; get the file again");
  EXPECT_THAT(refusal("(1073741824, 1073741824)", std::numeric_limits<std::int64_t>::max()),
              HasSubstr("a.npy: needs 1152921504606846976 bytes of memory, a data set may take "));
}

TEST_F(NpzTest, RefusesMalformedArrays) {
  const auto refused = [&](const std::string& content) { return refusal({{"x_train", content}}); };
  EXPECT_THAT(refused("no array"), AllOf(HasSubstr("a.npz: x_train.npy: "), HasSubstr("not a NumPy array")));
  EXPECT_THAT(refused(npy("'|O'", "(2, 1, 2)", "abcd")), HasSubstr("holds Python objects"));
  EXPECT_THAT(refused(npy("[('a', '<f4')]", "(2, 1, 2)", "abcd")), HasSubstr("objects or records"));
  EXPECT_THAT(refused(npy("'<f1'", "(2, 1, 2)", "abcd")), HasSubstr("of type <f1; make it uint8 or float32"));
  EXPECT_THAT(refused(npy("'<c8'", "(2, 1, 2)", "abcd")), HasSubstr("of type <c8"));
  EXPECT_THAT(
      refused(npy("'<f2'", "(2, 1, 2)", std::string("\0\x40\0\x38\0\x34\0\0", 8))),
      HasSubstr("pixel 0.5 at position 1 is no whole number from 0 to 255, and not all are from 0 to 1"));
  EXPECT_THAT(refused(npy("'<U3'", "(2, 1, 2)", "abcd")), HasSubstr("of type <U3"));
  EXPECT_THAT(refused(npy(kU1, "(2, 1, 2)", "abc", "True")), HasSubstr("truncated"));
  EXPECT_THAT(refused(npy(kU1, "(2, 1, 2)", "abc")), HasSubstr("truncated: announces 4 bytes, has 3"));
  EXPECT_THAT(refused(npy(kU1, "(2, 1, 2)", "abcde")), HasSubstr("more data than its header announces"));
  EXPECT_THAT(refused(npy(kU1, "(2, 0, 2)", "")), HasSubstr("is empty"));
  EXPECT_THAT(refused(npy(kU1, "(4000000000, 4000000000, 4000000000)", "abcd")),
              HasSubstr("shape overflows"));
  EXPECT_THAT(refused(npy(kU1, "(2, 30000, 30000)", "abcd")),
              HasSubstr("truncated: announces 1800000000 bytes, can hold"));
  for (const char* shape :
       {"(2, -1, 2)", "2", "(2 1)", "(99999999999999999999, 1)", "(2, 1, 2", "(1, 2), 'more': 3"}) {
    EXPECT_THAT(refused(npy(kU1, shape, "abcd")), HasSubstr("header is malformed")) << shape;
  }
  EXPECT_THAT(refused(npy("__import__('os')", "(2, 1, 2)", "abcd")), HasSubstr("header is malformed"));
  EXPECT_THAT(refused(npy(kU1, "(2, 1, 2)", "abcd", "Maybe")), HasSubstr("header is malformed"));
  EXPECT_THAT(refused(npy(kU1, "(2,)", "ab")), HasSubstr("images of shape [2]"));
  EXPECT_THAT(refused(npy(kU1, "(1, 1, 2)", "ab")),
              AllOf(HasSubstr("shape [1, 1, 2]"), HasSubstr("has 2 labels")));
  EXPECT_THAT(refused(std::string("\x93NUMPY\7\0\0\0", 10)), HasSubstr("format 7.0 is not known"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\1\0\xff\xff", 10)),
              HasSubstr("truncated within NumPy's header"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12)), HasSubstr("too long"));
  EXPECT_THAT(refusal({{"y_train", npy(kU1, "(2, 10)", std::string(20, '\1'))}}), HasSubstr("one-hot"));
  EXPECT_THAT(refusal({{"y_train", npy("'<i2'", "(2,)", std::string("\0\0\0\1", 4))}}),
              HasSubstr("label 256 at position 1 is not below the 256 classes"));
}

TEST_F(NpzTest, RefusesDamagedArchives) {
  const auto archive = folder_ / "a.npz";
  write_npz(archive, keras(), /*deflated=*/false);
  std::string bytes = read_file(archive);
  folder_.write("cut.npz", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error_of([&] { load("npz", folder_ / "cut.npz"); }),
              HasSubstr("cut.npz: no whole .npz archive"));
  bytes[bytes.find("abcd")] = 'x';
  folder_.write("bad.npz", bytes);
  EXPECT_THAT(error_of([&] { load("npz", folder_ / "bad.npz"); }),
              AllOf(HasSubstr("bad.npz: x_train.npy"), HasSubstr("damaged")));
  write_npz(folder_ / "few.npz", {keras()[0]}, true);
  EXPECT_THAT(error_of([&] { load("npz", folder_ / "few.npz"); }),
              HasSubstr("has no array y_train or train_labels"));
  EXPECT_THAT(error_of([&] { load("npz", folder_ / "none.npz"); }), HasSubstr("none.npz"));
  EXPECT_THAT(error_of([&] { load("npz", folder_.path()); }), HasSubstr("are both there; name one file"));
}

}  // namespace
}  // namespace convoy
