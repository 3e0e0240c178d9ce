// The program's own readers by themselves: run.json, and what a picture's file claims.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "apps/convoy/model_input.h"
#include "apps/convoy/run_record.h"
#include "convoy/catalog.h"
#include "engine/data/pictures/picture_claim.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::ElementsAre;

std::span<const unsigned char> bytes_of(const std::string& file) {
  return {reinterpret_cast<const unsigned char*>(file.data()), file.size()};
}

/// What require_sound says of a file; empty if nothing.
std::string unsound(const std::string& file) {
  return error_of([&] { require_sound(bytes_of(file)); });
}

// A copy of nested JSON recurses, so nesting without a limit would overflow the stack.
TEST(RunRecord, IsNoneIfItIsNestedDeeply) {
  const std::string deep(200'000, '['), end(200'000, ']');
  const Json record = record_of_text(R"({"dataset": "mnist", "preparation": {"mean": )" + deep + end + "}}");
  EXPECT_TRUE(record.is_null());
  EXPECT_EQ(run_record_of(record, "run.json").dataset, "");
}

TEST(RunRecord, TellsDataAndPreparation) {
  const RunRecord record = run_record_of(
      record_of_text(
          R"({"dataset": "mnist", "preparation": {"mean": 0.5, "std": [0.25], "transposed": true}})"),
      "run.json");
  EXPECT_EQ(record.dataset, "mnist");
  ASSERT_TRUE(record.preparation);
  EXPECT_THAT(record.preparation->normalization.mean, ElementsAre(0.5f));
  EXPECT_TRUE(record.preparation->transposed);
  EXPECT_EQ(record.held_out_crc32, std::nullopt);
  const Json divided =
      record_of_text(R"({"dataset": "csv", "split": 0.25, "split_seed": 7, "held_out_crc32": 4294967295})");
  EXPECT_EQ(run_record_of(divided, "run.json").split, 0.25);
  EXPECT_EQ(run_record_of(divided, "run.json").split_seed, 7u);
  EXPECT_EQ(run_record_of(divided, "run.json").held_out_crc32, 4294967295u);
  const Json malformed = record_of_text(R"({"dataset": "mnist", "preparation": {"std": 0}})");
  EXPECT_THAT(error_of([&] { run_record_of(malformed, "run.json"); }),
              testing::StartsWith("run.json: 'preparation': 'std' must be above 0"));
}

// What a model learned of pictures it has to see of them again.
TEST(ModelInput, HasTheBytesThatTrainingMakesOfThePicture) {
  const TemporaryFolder folder;
  const std::filesystem::path corpus = "tests/fuzz/corpus/picture";
  for (const char* name : {"rgba.png", "palette.png", "turned.png"}) {
    std::filesystem::create_directories(folder / "pets/train/a");
    std::filesystem::create_directories(folder / "pets/test/a");
    std::filesystem::create_directories(folder / "pets/train/b");
    std::filesystem::create_directories(folder / "pets/test/b");
    for (const char* place : {"pets/train/a/x", "pets/train/b/x", "pets/test/a/x", "pets/test/b/x"}) {
      std::filesystem::copy_file(corpus / name, folder / place,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    for (const std::int64_t channels : {1, 3}) {
      for (const bool crop : {false, true}) {
        const Dataset made =
            load("pictures", folder / "pets", {.channels = channels, .height = 5, .width = 9, .crop = crop})
                .train;
        const Preparation preparation{.dataset = "pictures", .framing = crop ? Framing::crop : Framing::fit};
        const ModelInput input = model_input(read_picture_bytes(corpus / name), made.image, preparation, {});
        EXPECT_EQ(std::vector(made.pixels.begin(), made.pixels.begin() + made.image.count()), input.pixels)
            << name << ", " << channels << " channels, " << input.how;
      }
    }
  }
}

TEST(PictureClaim, IsWhatTheFormatCanHold) {
  const auto refused = [](std::string file, std::size_t bytes, std::int64_t width, std::int64_t height) {
    file.resize(bytes, '\0');
    const std::span<const unsigned char> content = bytes_of(file);
    return !error_of([&] { require_plausible(content, width, height); }).empty();
  };
  // For each format the widest row that 1000 bytes may hold, and one that is wider by more than is rounded
  // off.
  const std::tuple<std::string, std::int64_t> most[] = {
      {"GIF89a", 2731 * 1000}, {"BM", 8 * 1000}, {"8BPS", 64 * 1000}, {"P5", 1000}, {"P6", 1000},
      {"", 64 * 1000}};
  for (const auto& [magic, pixels] : most) {
    EXPECT_FALSE(refused(magic, 1000, pixels, 1)) << magic;
    EXPECT_TRUE(refused(magic, 1000, pixels + 3000, 1)) << magic;
  }
  EXPECT_FALSE(refused("\xff\xd8\xff", 100, 160, 320));  // 800 blocks of a bit each
  EXPECT_TRUE(refused("\xff\xd8\xff", 100, 161, 320));
  EXPECT_FALSE(refused("\xff\xd8\xff", 100, 6400, 1));
}

TEST(PictureClaim, AJpegsTablesHaveACodeForEachByteAtMost) {
  // A table of so many codes of 8 bits and as many of 9, with a length that says so.
  const auto table = [](int codes) {
    const std::size_t length = 2 + 17 + 2 * static_cast<std::size_t>(codes);
    std::string segment = {'\xff', '\xc4', static_cast<char>(length >> 8), static_cast<char>(length), '\x10'};
    for (int bits = 1; bits <= 16; ++bits) segment += static_cast<char>(bits == 8 || bits == 9 ? codes : 0);
    return segment + std::string(2 * static_cast<std::size_t>(codes), '\1');
  };
  const std::string start = "\xff\xd8", scan("\xff\xda\0\2data\xff\0data", 14), app = "\xff\xe1";
  EXPECT_EQ(unsound(start + table(128)), "");
  EXPECT_EQ(unsound(start + table(129)), "a table of 258 Huffman codes; get the file again");
  EXPECT_EQ(unsound(start + table(128) + scan + table(129)),
            "a table of 258 Huffman codes; get the file again");
  EXPECT_EQ(unsound(start + table(129).substr(0, 16)), "a table of 258 Huffman codes; get the file again");
  // What looks like one within another segment, as a camera's notes, is none.
  const std::string notes = table(129);
  const auto length = static_cast<char>(notes.size() % 256 + 2);
  ASSERT_EQ(notes.size() / 256, 1u);
  EXPECT_EQ(unsound(start + app + '\1' + length + notes + table(128)), "");
  // Behind the picture's end may be anything; but what looks like the end within a segment is none.
  const std::string end = "\xff\xd9", comment("\xff\xfe\0\4", 4);
  EXPECT_EQ(unsound(start + scan + end + table(129)), "");
  EXPECT_NE(unsound(start + scan + comment + end + table(129)), "");
}

TEST(PictureClaim, APnmsHeaderHasNumbersThatAreInts) {
  EXPECT_EQ(unsound("P5 4 4 255\n1234567890123456"), "");
  EXPECT_EQ(unsound("P6\n# 12345678901\n4 4 255\n"), "");
  EXPECT_EQ(unsound("P5 12345678901 4 255\n"), "a number of more than 9 digits in the header");
}

TEST(PictureClaim, APictureHasPixels) {
  const unsigned char file[] = {'P', '5'};
  EXPECT_EQ(error_of([&] { require_plausible(file, 0, 7); }), "it has 0 x 7 pixels");
  EXPECT_EQ(error_of([&] { require_plausible(file, 7, 0); }), "it has 7 x 0 pixels");
}

}  // namespace
}  // namespace convoy
