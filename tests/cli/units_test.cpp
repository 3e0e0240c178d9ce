// The program's own pieces: classification figures, tables, picture preparation, run folders, the FMA peak.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "apps/convoy/classification.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/fma_peak.h"
#include "apps/convoy/ink.h"
#include "apps/convoy/parts.h"
#include "apps/convoy/picture.h"
#include "apps/convoy/picture_claim.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/run_record.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/state_keeper.h"
#include "apps/convoy/step_timing.h"
#include "apps/convoy/terminal.h"
#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::ElementsAre;

constexpr double kEps = std::numeric_limits<double>::epsilon();

TEST(Softmax, SumsToOneAndSurvivesLargeLogits) {
  const std::vector<double> logits = {1000.0, 1000.0, 0.0};
  EXPECT_THAT(softmax(logits), ElementsAre(0.5, 0.5, 0.0));
}

TEST(Classification, CountsWhoIsTakenForWhom) {
  // Three samples of class 0 (one taken for 1), one of class 1, none of class 2.
  const std::vector<double> logits = {2, 0, 0, 5, 1, 0, 0, 3, 0, 0, 1, 0};
  const std::vector<std::uint8_t> labels = {0, 0, 0, 1};
  const Classification result(logits, labels, 3);
  EXPECT_EQ(result.accuracy(), 0.75);
  EXPECT_EQ(result.count(0, 1), 1);
  EXPECT_EQ(result.count(1, 0), 0);
  EXPECT_EQ(result.samples_of(0), 3);
  EXPECT_EQ(result.precision(0), 1.0);
  EXPECT_EQ(result.precision(1), 0.5);
  EXPECT_EQ(result.recall(0), 2.0 / 3.0);
  EXPECT_EQ(result.precision(2), std::nullopt);
  EXPECT_EQ(result.recall(2), std::nullopt);
}

TEST(Classification, LossIsTheMeanCrossEntropy) {
  const std::vector<double> logits = {0, 0, std::log(3.0), 0};
  const std::vector<std::uint8_t> labels = {1, 0};
  const double expected = (std::log(2.0) + std::log(4.0 / 3.0)) / 2;
  EXPECT_NEAR(Classification(logits, labels, 2).loss(), expected, 8 * kEps);  // a handful of roundings
}

TEST(Classification, TheFirstOfEqualLogitsWins) {
  const std::vector<double> logits = {1, 1};
  EXPECT_EQ(Classification(logits, std::vector<std::uint8_t>{1}, 2).count(1, 0), 1);
}

TEST(Table, AlignsWordsLeftAndNumbersRight) {
  Table table({"name", "ms", "note"});
  table.left(2);
  table.add({"a", "1.25", "x"});
  table.add({"longer", "10.50", ""});
  EXPECT_EQ(table.str(), "name       ms  note\na        1.25  x\nlonger  10.50\n");
}

TEST(ProgressLine, NarrowsTheBarBeforeItCutsTheNote) {
  EXPECT_EQ(progress_line(0.5, "note", 80),
            "[" + std::string(14, '#') + std::string(14, '.') + "]  50 %  note");
  EXPECT_EQ(progress_line(0.5, "note", 27), "[######......]  50 %  note");
  EXPECT_EQ(progress_line(0.5, "note", 21), "[###...]  50 %  note");
  EXPECT_EQ(progress_line(0.5, "note", 20), " 50 %  note");
  EXPECT_EQ(progress_line(0.5, "note", 10), " 50 %  no");
  EXPECT_EQ(progress_line(1.0, "note", 0), "100 %");
  EXPECT_EQ(progress_line(7.0, "note", 21), "[######] 100 %  note");
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
  const Json malformed = record_of_text(R"({"dataset": "mnist", "preparation": {"std": 0}})");
  EXPECT_THAT(error_of([&] { run_record_of(malformed, "run.json"); }),
              testing::StartsWith("run.json: 'preparation': 'std' must be above 0"));
}

TEST(PictureClaim, IsWhatTheFormatCanHold) {
  const auto refused = [](std::string file, std::size_t bytes, std::int64_t width, std::int64_t height) {
    file.resize(bytes, '\0');
    const std::span<const unsigned char> content(reinterpret_cast<const unsigned char*>(file.data()), bytes);
    return !error_of([&] { require_plausible(content, width, height); }).empty();
  };
  // For each format the widest row that 1000 bytes may hold, and one that is wider by more than is rounded
  // off.
  const std::tuple<std::string, std::int64_t> most[] = {
      {"GIF89a", 2731 * 1000}, {"BM", 8 * 1000}, {"8BPS", 64 * 1000},
      {"#?RGBE", 16 * 1000},   {"P5", 1000},     {"P6", 1000},
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
  const auto error = [](const std::string& file) {
    return error_of([&] {
      require_sound({reinterpret_cast<const unsigned char*>(file.data()), file.size()});
    });
  };
  // A table of so many codes of 8 bits and as many of 9, with a length that says so.
  const auto table = [](int codes) {
    const std::size_t length = 2 + 17 + 2 * static_cast<std::size_t>(codes);
    std::string segment = {'\xff', '\xc4', static_cast<char>(length >> 8), static_cast<char>(length), '\x10'};
    for (int bits = 1; bits <= 16; ++bits) segment += static_cast<char>(bits == 8 || bits == 9 ? codes : 0);
    return segment + std::string(2 * static_cast<std::size_t>(codes), '\1');
  };
  const std::string start = "\xff\xd8", scan("\xff\xda\0\2data\xff\0data", 14), app = "\xff\xe1";
  EXPECT_EQ(error(start + table(128)), "");
  EXPECT_EQ(error(start + table(129)), "a table of 258 Huffman codes; get the file again");
  EXPECT_EQ(error(start + table(128) + scan + table(129)),
            "a table of 258 Huffman codes; get the file again");
  EXPECT_EQ(error(start + table(129).substr(0, 16)), "a table of 258 Huffman codes; get the file again");
  // What looks like one within another segment, as a camera's notes, is none.
  const std::string notes = table(129);
  const auto length = static_cast<char>(notes.size() % 256 + 2);
  ASSERT_EQ(notes.size() / 256, 1u);
  EXPECT_EQ(error(start + app + '\1' + length + notes + table(128)), "");
}

TEST(PictureClaim, APnmsHeaderHasNumbersThatAreInts) {
  const auto error = [](const std::string& file) {
    return error_of([&] {
      require_sound({reinterpret_cast<const unsigned char*>(file.data()), file.size()});
    });
  };
  EXPECT_EQ(error("P5 4 4 255\n1234567890123456"), "");
  EXPECT_EQ(error("P6\n# 12345678901\n4 4 255\n"), "");
  EXPECT_EQ(error("P5 12345678901 4 255\n"), "a number of more than 9 digits in the header");
}

TEST(PictureClaim, APictureHasPixels) {
  const unsigned char file[] = {'P', '5'};
  EXPECT_EQ(error_of([&] { require_plausible(file, 0, 7); }), "it has 0 x 7 pixels");
  EXPECT_EQ(error_of([&] { require_plausible(file, 7, 0); }), "it has 7 x 0 pixels");
}

TEST(RunFolder, AsksForRoomBeforeItIsNeeded) {
  const TemporaryFolder scratch;
  const RunFolder folder(scratch / "run");
  folder.require_space(1);
  EXPECT_THAT(
      error_of([&] { folder.require_space(std::uint64_t{1} << 62); }),
      testing::HasSubstr("MB are free there, and the training may write 4611686018427.4 MB; make room"));
}

// The model, the states that stay, and one more, each of four sets of weights.
TEST(BytesOfRun, AreThoseOfAllFilesThatStay) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const TemporaryFolder scratch;
  save_checkpoint(initial_state(model, 1), scratch / "model.ckpt");
  const auto file = std::filesystem::file_size(scratch / "model.ckpt");
  for (const auto& [keep, files] : {std::pair<std::size_t, std::uint64_t>{2, 13}, {1, 9}, {0, 9}}) {
    const std::uint64_t bytes = bytes_of_run(model, {.keep = keep});
    EXPECT_GT(bytes, files * file);
    EXPECT_LT(bytes, files * (file + 100000));
  }
}

TEST(Duration, IsShortAndRoundedUp) {
  EXPECT_EQ(duration(0.2), "0:01");
  EXPECT_EQ(duration(61), "1:01");
  EXPECT_EQ(duration(3723), "1:02:03");
  EXPECT_EQ(duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Samples, QuantilesAreOfTheNearestRank) {
  Samples samples;
  for (const double value : {5.0, 1.0, 4.0, 2.0, 3.0}) samples.add(value);
  EXPECT_EQ(samples.quantile(0.0), 1.0);
  EXPECT_EQ(samples.quantile(0.5), 3.0);
  EXPECT_EQ(samples.quantile(0.9), 5.0);  // rank 3.6 of 0 to 4
}

TEST(Resize, ShrinkingAveragesAreas) {
  Picture picture(1, 2, 4);
  picture.values = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_THAT(resize(picture, 1, 2).values, ElementsAre(2.5f, 4.5f));
}

TEST(Resize, ShrinkingByAFractionWeighsByOverlap) {
  Picture picture(1, 1, 3);
  picture.values = {0, 3, 9};  // two areas of 1.5 pixels
  const Picture half = resize(picture, 1, 2);
  const float eps = std::numeric_limits<float>::epsilon();
  EXPECT_NEAR(half.values[0], 1.0f, 4 * eps);   // (0 + 3/2) / 1.5
  EXPECT_NEAR(half.values[1], 7.0f, 16 * eps);  // (3/2 + 9) / 1.5
}

TEST(Resize, GrowingInterpolates) {
  Picture picture(1, 1, 2);
  picture.values = {0, 1};
  EXPECT_THAT(resize(picture, 1, 4).values, ElementsAre(0.0f, 0.25f, 0.75f, 1.0f));
}

TEST(Resize, KeepsAConstantOfAnySize) {
  Picture picture(3, 5, 7);
  std::fill(picture.values.begin(), picture.values.end(), 1.0f);
  for (const std::size_t size : {1u, 3u, 5u, 11u}) {
    for (const float value : resize(picture, size, size).values) {
      // The weights of an axis add up to 1 within the rounding of at most 7 of them.
      EXPECT_NEAR(value, 1.0f, 16 * std::numeric_limits<float>::epsilon());
    }
  }
}

TEST(Dilated, IsTheLargestValueAbout) {
  Picture picture(1, 4, 5);
  picture.at(0, 1, 1) = 2.0f;
  picture.at(0, 3, 4) = 3.0f;
  EXPECT_THAT(dilated(picture, 1).values,
              ElementsAre(2, 2, 2, 0, 0, 2, 2, 2, 0, 0, 2, 2, 2, 3, 3, 0, 0, 0, 3, 3));
  EXPECT_EQ(dilated(picture, 9).values, std::vector<float>(20, 3.0f));
}

TEST(FindParts, ConnectsAcrossSmallGaps) {
  Picture picture(1, 5, 12);
  for (const std::size_t x : {1u, 2u, 5u, 11u}) picture.at(0, 2, x) = 1.0f;
  const Parts apart = find_parts(picture, 0.5f, 1);
  ASSERT_EQ(apart.parts.size(), 2u);  // two pixels between 2 and 5 are bridged, five up to 11 are not
  EXPECT_EQ(apart.parts[0].left, 1u);
  EXPECT_EQ(apart.parts[0].right, 5u);
  EXPECT_EQ(apart.parts[0].pixels, 3u);
  EXPECT_EQ(gap(apart.parts[0], apart.parts[1]), 6u);
  EXPECT_EQ(united(apart.parts[0], apart.parts[1]).width(), 11u);
}

TEST(FindInk, SeesInkOnAGroundThatFallsOff) {
  Picture rgba(4, 40, 40);
  std::fill(rgba.values.begin() + 3 * 1600, rgba.values.end(), 1.0f);
  for (std::size_t y = 0; y < 40; ++y) {
    for (std::size_t x = 0; x < 40; ++x) {
      const bool is_ink = x >= 18 && x < 22 && y >= 8 && y < 32;
      for (std::size_t c = 0; c < 3; ++c) {
        rgba.at(c, y, x) = (is_ink ? 0.25f : 1.0f) * (1.0f - 0.015f * static_cast<float>(y));
      }
    }
  }
  const Ink ink = find_ink(rgba, std::nullopt);
  EXPECT_TRUE(ink.dark);
  // Ink takes three quarters of the light, wherever it is. The closing is exact on a slope but for rounding.
  for (const std::size_t y : {8u, 20u, 31u}) EXPECT_NEAR(ink.strength.at(0, y, 20), 0.75f, 1e-6f) << y;
  for (const std::size_t y : {0u, 20u, 39u}) EXPECT_NEAR(ink.strength.at(0, y, 5), 0.0f, 1e-6f) << y;
}

TEST(RunName, IsSafeAndRepeatable) {
  EXPECT_EQ(run_name("convnet", "mnist", 1), "convnet-mnist-1");
  EXPECT_EQ(run_name("models/my net.json", "idx", 7), "my_net-idx-7");
}

TEST(ClassNames, AreTheDataSets) {
  EXPECT_EQ(class_names("fashion-mnist", 10)[7], "Sneaker");
  EXPECT_EQ(class_names("cifar10", 10)[9], "truck");
  EXPECT_THAT(class_names("mnist", 3), ElementsAre("0", "1", "2"));
  EXPECT_EQ(class_names("cifar10", 11)[10], "10");  // a model may have more outputs than the data has classes
}

TEST(Flags, RefuseWhatIsNoSuchNumber) {
  for (const char* text : {"0", "-1", "1.5", "x", "", "99999999999999999999"}) {
    std::string value = text;
    EXPECT_NE(at_least(1)(value), "") << text;
  }
  for (const char* text : {"0", "-1", "nan", "inf", "1e300", "x", ""}) {
    std::string value = text;
    EXPECT_NE(positive()(value), "") << text;
  }
  std::string one = "1", rate = "1e-3";
  EXPECT_EQ(at_least(1)(one), "");
  EXPECT_EQ(positive()(rate), "");
}

TEST(ResolveModel, RefusesWhatIsNeitherModelNorFile) {
  EXPECT_THROW(resolve_model("convnet2", image_format("mnist")), UsageError);
  EXPECT_THROW(resolve_model("/no/such.json", image_format("mnist")), Error);
  EXPECT_THROW(image_format("emnist"), UsageError);
  EXPECT_EQ(resolve_model("lenet5", image_format("cifar10")).input, (Shape{3, 32, 32}));
}

TEST(FmaPeak, IsMeasured) {
  const auto peak = measure_fma_peak();
  if (!peak) GTEST_SKIP() << "this build has no CPU backend";
  EXPECT_GT(peak->gflops, 0.0);
  EXPECT_GE(peak->threads, 1);
  EXPECT_THAT(peak->instructions, testing::EndsWith("-bit registers"));
}

}  // namespace
}  // namespace convoy
