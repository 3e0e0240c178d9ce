#include "engine/data/idx.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <limits>

#include "engine/data/byte_reader.h"
#include "engine/data/host_memory.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

const std::string kImages = idx({2, 2, 3}, "abcdefghijkl");
const std::string kLabels = idx({2}, std::string("\1\0", 2));

class IdxTest : public testing::Test {
 protected:
  Dataset read(const std::string& images, const std::string& labels = kLabels, std::int64_t classes = 2) {
    return read_idx_pair(folder_.write("images", images), folder_.write("labels", labels), classes);
  }
  std::string refusal(const std::string& images, const std::string& labels = kLabels,
                      std::int64_t classes = 2) {
    return error_of([&] { read(images, labels, classes); });
  }

  TemporaryFolder folder_;
};

TEST_F(IdxTest, ReadsImagesAndLabels) {
  const Dataset dataset = read(kImages);
  EXPECT_EQ(dataset.image, Shape({1, 2, 3}));
  EXPECT_EQ(dataset.classes, 2);
  EXPECT_EQ(dataset.count(), 2);
  EXPECT_EQ(std::string(dataset.pixels.begin(), dataset.pixels.end()), "abcdefghijkl");
  EXPECT_THAT(dataset.labels, ElementsAre(1, 0));
  EXPECT_THAT(dataset.normalization.mean, ElementsAre(0.0f));
  EXPECT_THAT(dataset.normalization.std, ElementsAre(1.0f));
}

TEST_F(IdxTest, ReadsGzipWhateverItIsCalled) {
  EXPECT_EQ(read(gzip(kImages), gzip(kLabels)).pixels, read(kImages).pixels);
}

TEST_F(IdxTest, ReadsGzipOfSeveralMembers) {
  const std::string members = gzip(kImages.substr(0, 9)) + gzip("") + gzip(kImages.substr(9));
  EXPECT_EQ(read(members).pixels, read(kImages).pixels);
}

TEST_F(IdxTest, ReadsImagesOfSeveralChannels) {
  EXPECT_EQ(read(idx({2, 3, 1, 2}, "abcdefghijkl")).image, Shape({3, 1, 2}));
}

TEST_F(IdxTest, RefusesAnEmptyFile) {
  EXPECT_THAT(refusal(""), HasSubstr("images: is empty"));
  EXPECT_THAT(refusal(kImages, ""), HasSubstr("labels: is empty"));
  EXPECT_THAT(refusal(gzip("")), HasSubstr("images: is empty"));
}

TEST_F(IdxTest, RefusesAWrongMagicNumber) {
  EXPECT_THAT(refusal("\x13\x57....."), HasSubstr("not an IDX file: begins with 13 57"));
  std::string unknown = kImages;
  unknown[2] = '\x0a';
  EXPECT_THAT(refusal(unknown), HasSubstr("IDX elements of type 0x0a, which there is none of"));
  EXPECT_THAT(refusal(kLabels), HasSubstr("1 dimensions where images (3 or 4) belong"));
  EXPECT_THAT(refusal(kImages, kImages), HasSubstr("3 dimensions where labels (1 or 2) belong"));
  EXPECT_THAT(refusal(idx({1, 1, 1, 1, 1}, "a")), HasSubstr("5 dimensions"));
}

TEST_F(IdxTest, RefusesATruncatedFileAtEveryLength) {
  for (std::size_t length = 1; length < kImages.size(); ++length) {
    EXPECT_THAT(refusal(kImages.substr(0, length)), HasSubstr("images: truncated")) << length;
  }
  const std::string compressed = gzip(kImages);
  for (std::size_t length = 2; length < compressed.size(); ++length) {
    EXPECT_THAT(refusal(compressed.substr(0, length)), HasSubstr("truncated")) << length;
  }
  EXPECT_THAT(refusal(gzip(kImages.substr(0, 20))), HasSubstr("truncated: announces 12 bytes, has 4"));
}

TEST_F(IdxTest, RefusesMoreDataThanAnnounced) {
  EXPECT_THAT(refusal(kImages + "x"), HasSubstr("images: holds more data than its header announces"));
  EXPECT_THAT(refusal(gzip(kImages + "x")), HasSubstr("holds more data"));
  EXPECT_THAT(refusal(kImages, kLabels + "x"), HasSubstr("labels: holds more data"));
}

// As gzip does: a checksum has said that the data is whole.
TEST_F(IdxTest, LeavesAloneWhatFollowsGzipData) {
  for (const std::string& behind :
       {std::string("xyz"), std::string(512, '\0'), std::string("\x1f"), std::string("\x1f\x8a")}) {
    EXPECT_EQ(read(gzip(kImages) + behind, gzip(kLabels) + behind).pixels, read(kImages).pixels);
  }
  // Wherever a chunk of compressed data ends: 256 KiB, with the next member's two bytes on either side.
  const std::string random = noise(262144);
  for (std::uint32_t cut = 262070; cut < 262150; ++cut) {
    const std::string first = gzip(idx({1, 1, cut}, random.substr(0, cut - 1)));
    if (first.size() < 262141 || first.size() > 262146) continue;
    const Dataset dataset =
        read_idx_pair(folder_.write("images", first + gzip("x")), folder_.write("labels", idx({1}, "\1")), 2);
    EXPECT_EQ(dataset.pixels.back(), 'x') << first.size();
  }
}

TEST_F(IdxTest, SaysWhatElseAFileIs) {
  EXPECT_THAT(refusal("<!DOCTYPE html><html>404</html>"),
              HasSubstr("not an IDX file: it is a web page, as a failed download leaves one"));
  EXPECT_THAT(refusal(gzip("<html>")), HasSubstr("it is a web page"));
  EXPECT_THAT(refusal(gzip(gzip(kImages))),
              HasSubstr("it is compressed with gzip a second time; unpack it once"));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\n"),
              HasSubstr("it is a pointer of Git LFS"));
  EXPECT_THAT(refusal("PK\3\4...."), HasSubstr("it is a zip archive; unpack it"));
  EXPECT_THAT(refusal("\x80\4\x95..."), HasSubstr("it is a Python pickle"));
}

/// An IDX file of that type; `elements` are its bytes.
std::string typed(char type, const std::vector<std::uint32_t>& dimensions, const std::string& elements) {
  std::string file = idx(dimensions, elements);
  file[2] = type;
  return file;
}

std::string big_endian(std::uint64_t bits, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(bits >> 8 * bytes & 0xff);
  return text;
}

TEST_F(IdxTest, ReadsElementsOfEveryType) {
  const auto float_bits = [](float value) { return big_endian(std::bit_cast<std::uint32_t>(value), 4); };
  const auto double_bits = [](double value) { return big_endian(std::bit_cast<std::uint64_t>(value), 8); };
  const std::pair<char, std::string> ones_and_zeros[] = {{'\x08', big_endian(0x0100, 2)},
                                                         {'\x09', big_endian(0x0100, 2)},
                                                         {'\x0b', big_endian(0x00010000, 4)},
                                                         {'\x0c', big_endian(std::uint64_t{1} << 32, 8)},
                                                         {'\x0d', float_bits(1.0f) + float_bits(0.0f)},
                                                         {'\x0e', double_bits(1.0) + double_bits(0.0)}};
  for (const auto& [type, labels] : ones_and_zeros) {
    EXPECT_THAT(read(kImages, typed(type, {2}, labels)).labels, ElementsAre(1, 0)) << static_cast<int>(type);
  }
  // QMNIST's labels: eight columns, of which the first is the class.
  EXPECT_THAT(
      read(kImages,
           typed('\x0c', {2, 2}, big_endian(1, 4) + big_endian(77, 4) + big_endian(0, 4) + big_endian(78, 4)))
          .labels,
      ElementsAre(1, 0));
  const auto pixels = [&](char type, const std::string& elements) {
    return read(typed(type, {1, 1, 2}, elements), idx({1}, "\1")).pixels;
  };
  EXPECT_THAT(pixels('\x0c', big_endian(255, 4) + big_endian(7, 4)), ElementsAre(255, 7));
  EXPECT_THAT(pixels('\x0b', big_endian(255, 2) + big_endian(7, 2)), ElementsAre(255, 7));
  EXPECT_THAT(pixels('\x0d', float_bits(255.0f) + float_bits(1.0f)), ElementsAre(255, 1));
  EXPECT_THAT(pixels('\x0d', float_bits(1.0f) + float_bits(0.4f)), ElementsAre(255, 102));
  EXPECT_THAT(pixels('\x0e', double_bits(7.0 / 255.0) + double_bits(0.0)), ElementsAre(7, 0));
}

TEST_F(IdxTest, RefusesElementsThatAreNoPixelsOrLabels) {
  const auto image = [](char type, std::uint64_t bits, int bytes) {
    return typed(type, {1, 1, 1}, big_endian(bits, bytes));
  };
  const std::string label = idx({1}, "\1");
  EXPECT_THAT(refusal(image('\x09', 0xff, 1), label),
              HasSubstr("pixel -1 at position 0 is no whole number from 0 to 255"));
  EXPECT_THAT(refusal(image('\x0c', 256, 4), label), HasSubstr("pixel 256 at position 0"));
  EXPECT_THAT(refusal(image('\x0d', 0x40200000, 4), label), HasSubstr("pixel 2.5 at position 0"));
  EXPECT_THAT(refusal(image('\x0d', 0x7fc00000, 4), label), HasSubstr("pixel nan at position 0"));
  EXPECT_THAT(refusal(kImages, typed('\x0c', {2}, big_endian(1, 4) + big_endian(0xffffffff, 4))),
              HasSubstr("labels: label -1 at position 1 is no whole number"));
  EXPECT_THAT(refusal(kImages, typed('\x0d', {2}, big_endian(0x3f000000, 4) + big_endian(0, 4))),
              HasSubstr("label 0.5 at position 0"));
  EXPECT_THAT(refusal(kImages, typed('\x0c', {2}, big_endian(1, 4) + big_endian(256, 4)), 256),
              HasSubstr("label 256 at position 1 is not below the 256 classes that a data set may have"));
  EXPECT_THAT(refusal(kImages, typed('\x0c', {2}, big_endian(1, 4))), HasSubstr("announces 8 bytes"));
}

TEST_F(IdxTest, RefusesCorruptGzip) {
  std::string compressed = gzip(kImages);
  compressed[compressed.size() - 6] ^= 1;  // of the CRC
  EXPECT_THAT(refusal(compressed), HasSubstr("corrupt gzip data (incorrect data check)"));
}

TEST_F(IdxTest, RefusesDimensionsThatAreZeroOrOverflow) {
  EXPECT_THAT(refusal(idx({2, 0, 3}, "")), HasSubstr("dimension 1 is 0"));
  EXPECT_THAT(refusal(kImages, idx({0}, "")), HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(refusal(idx({2, 0xffffffff, 0xffffffff, 0xffffffff}, "")), HasSubstr("overflow"));
}

TEST_F(IdxTest, RefusesCountsThatDiffer) {
  EXPECT_THAT(refusal(kImages, idx({3}, std::string("\0\0\0", 3))), HasSubstr("2 images, but"));
}

TEST_F(IdxTest, RefusesALabelThatIsNoClass) {
  EXPECT_THAT(refusal(kImages, idx({2}, std::string("\0\2", 2))),
              HasSubstr("labels: label 2 at position 1 is not below the 2 classes"));
}

TEST_F(IdxTest, RefusesWhatIsNoRegularFile) {
  const auto labels = folder_.write("labels", kLabels);
  EXPECT_THAT(error_of([&] { read_idx_pair(folder_ / "none", labels, 2); }),
              HasSubstr("none: No such file or directory"));
  EXPECT_THAT(error_of([&] { read_idx_pair(folder_.path(), labels, 2); }), HasSubstr("not a regular file"));
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { read_idx_pair(pipe, labels, 2); }), HasSubstr("not a regular file"));
}

std::int64_t peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// 100 MiB of zeros in 100 kB, behind a header that announces one image of 6 bytes.
TEST_F(IdxTest, StopsABombThatInflatesToMoreThanItAnnounces) {
  const std::string bomb = gzip(idx({2, 2, 3}, std::string(100 << 20, '\0')));
  ASSERT_LT(bomb.size(), 200u << 10);
  EXPECT_THAT(refusal(bomb), HasSubstr("holds more data than its header announces"));
}

// A small file that announces gigabytes: refused before they are allocated.
TEST_F(IdxTest, DoesNotAllocateWhatASmallFileAnnounces) {
  const std::string announced = idx({2, 30000, 30000}, std::string(1000, '\0'));
  const std::int64_t before = peak_memory_kib();
  EXPECT_THAT(refusal(announced), HasSubstr("truncated: announces 1800000000 bytes"));
  EXPECT_THAT(refusal(gzip(announced)), HasSubstr("truncated: announces 1800000000 bytes"));
  EXPECT_THAT(refusal(idx({2, 70000, 70000}, "")),
              HasSubstr("truncated: announces 9800000000 bytes, a file of 16 bytes"));
  // Large enough a file that the announced size is possible: memory still follows what is there.
  EXPECT_THAT(refusal(gzip(idx({2, 30000, 30000}, noise(4 << 20)))), HasSubstr("has 4194304"));
  // 64 MiB is the first allocation; ASan's shadow and quarantine add to it.
  EXPECT_LT(peak_memory_kib() - before, 512 << 10);
}

// What bounds a plain file is its size. Sparse files have one without content, and these are not read.
TEST_F(IdxTest, GigabytesAreRefusedOnlyWhereTheMachineHasNoMemoryForThem) {
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  const auto sparse = [&](std::int64_t images, std::int64_t bytes) {
    const auto count = static_cast<std::uint32_t>(images);
    const fs::path file = folder_.write("sparse", idx({count, 1 << 15, 1 << 15}, ""));
    const fs::path labels = folder_.write("labels", idx({count}, std::string(count, '\0')));
    fs::resize_file(file, static_cast<std::uintmax_t>(bytes));
    return error_of([&] { read_idx_pair(file, labels, 10); });
  };
  EXPECT_THAT(
      sparse(5, 5 * kGiB - 1),
      HasSubstr("truncated: announces 5368709120 bytes, a file of 5368709119 bytes cannot hold them"));
  const std::int64_t memory = host_memory_bytes(), images = memory / kGiB + 1;
  EXPECT_THAT(
      sparse(images, 16 + images * kGiB),
      HasSubstr(fmt::format("sparse: needs {} bytes of memory, a data set may take {} here; leave some",
                            images * kGiB, memory)));
}

TEST(HostMemory, IsTheBound) {
  EXPECT_GT(host_memory_bytes(), 1 << 20);
  EXPECT_NO_THROW(require_memory(4, {"x"}, 4));
  EXPECT_EQ(error_of([] { require_memory(5, {"x"}, 4); }),
            "x: needs 5 bytes of memory, a data set may take 4 here; leave some of the images out");
}

TEST(HostMemory, IsWhatTheControlGroupAllows) {
  const TemporaryFolder folder;
  const auto usable = [&](const std::string& first, const std::string& second) {
    const std::array<fs::path, 3> limits = {folder.write("a", first), folder.write("b", second),
                                            folder / "missing"};
    return usable_memory(1000, limits);
  };
  EXPECT_EQ(usable("max\n", ""), 1000);
  EXPECT_EQ(usable("600\n", "max\n"), 600);
  EXPECT_EQ(usable("max\n", "500\n"), 500);
  EXPECT_EQ(usable("9223372036854771712\n", "-1\n"), 1000);
  EXPECT_EQ(usable("99999999999999999999\n", "0\n"), 1000);
}

// The rest is for what reading takes beside the data.
TEST(HostMemory, IsNoMoreThanHalfOfTheMachines) {
  const std::int64_t physical = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  EXPECT_LE(host_memory_bytes(), physical / 2);
}

TEST(HostMemory, OfPackedContentTheRatioOfDeflateIsTheOther) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(most_unpacked(2), 2064);
  EXPECT_EQ(most_unpacked(kMost / 1000), kMost);
}

}  // namespace
}  // namespace convoy
