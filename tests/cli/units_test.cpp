// The program's own pieces: classification figures, tables, picture preparation, run folders, the FMA peak.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/convoy/classification.h"
#include "apps/convoy/drawing.h"
#include "apps/convoy/early_end.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/fma_peak.h"
#include "apps/convoy/ink.h"
#include "apps/convoy/parts.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/state_keeper.h"
#include "apps/convoy/step_timing.h"
#include "apps/convoy/terminal.h"
#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/data/pictures/picture.h"
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

TEST(Classification, ANaNCountsAsTheLargestLogit) {
  const std::vector<double> logits = {3, std::nan(""), 1};
  const std::vector<std::uint8_t> labels = {1};
  EXPECT_EQ(Classification(logits, labels, 3).count(1, 1), 1);
}

// Of 10000 images 100 * 0.57 is less than 57, and so with 99.34 and a hundred others.
TEST(EarlyEnd, EqualityReachesAnAccuracy) {
  for (int hits = 1; hits <= 10000; ++hits) {
    const double percent = std::stod(fmt::format("{}.{:02}", hits / 100, hits % 100));
    EXPECT_TRUE(reaches(hits / 10000.0, percent)) << percent;
    EXPECT_FALSE(reaches((hits - 1) / 10000.0, percent)) << percent;
  }
  EXPECT_FALSE(reaches(std::nan(""), 50.0));
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

TEST(ProgressLine, LeavesOutWholeNotesTheLeastImportantFirst) {
  const std::vector<std::string> notes = {"loss 0.1", "", "9 images/s", "0:12 left"};
  const std::vector<std::size_t> importance = {3, 0, 1, 2};
  EXPECT_EQ(fitting_notes(notes, importance, 80), "loss 0.1, 9 images/s, 0:12 left");
  EXPECT_EQ(fitting_notes(notes, importance, 31), "loss 0.1, 9 images/s, 0:12 left");
  EXPECT_EQ(fitting_notes(notes, importance, 30), "loss 0.1, 0:12 left");
  EXPECT_EQ(fitting_notes(notes, importance, 18), "0:12 left");
  EXPECT_EQ(fitting_notes(notes, importance, 8), "loss 0.1");
  EXPECT_EQ(fitting_notes(notes, importance, 0), "");
}

// A bar that is 0.15 darker than the stripe of shadow it lies in, where the paper's grain is 0.1.
TEST(CutOut, FindsNothingInWhatIsHardlyDarkerThanItsShadow) {
  Ink ink{.strength = Picture(1, 40, 40), .noise = 0.1f, .dark = true};
  for (std::size_t y = 5; y < 35; ++y) {
    for (std::size_t x = 5; x < 35; ++x) ink.strength.at(0, y, x) = 0.45f;
  }
  for (std::size_t y = 10; y < 30; ++y) {
    for (std::size_t x = 18; x < 22; ++x) ink.strength.at(0, y, x) = 0.6f;
  }
  EXPECT_THAT(error_of([&] { cut_out(ink); }), testing::StartsWith("no digit to be seen"));
  ink.noise = 0.0f;
  EXPECT_EQ(cut_out(ink).ink.height, 30u);
}

TEST(RunFolder, AsksForRoomBeforeItIsNeeded) {
  const TemporaryFolder scratch;
  const RunFolder folder(scratch / "run");
  folder.require_space(1);
  EXPECT_THAT(
      error_of([&] { folder.require_space(std::uint64_t{1} << 62); }),
      testing::HasSubstr("MB are free there, and the training may write 4611686018427.4 MB; make room"));
}

TEST(BytesOfRun, AreThoseOfTheModelAndItsStates) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const TemporaryFolder scratch;
  save_checkpoint(initial_state(model, 1), scratch / "model.ckpt");
  const auto file = std::filesystem::file_size(scratch / "model.ckpt");
  const std::uint64_t bytes = bytes_of_run(model, /*sets_of_weights=*/4, /*states=*/3);
  EXPECT_GT(bytes, 13 * file);
  EXPECT_LT(bytes, 13 * (file + 100000));
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
  EXPECT_EQ(class_names("emnist-letters", 26)[25], "Z");
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
  EXPECT_EQ(image_format("emnist-letters").classes, 26);
  EXPECT_EQ(image_format("emnist-balanced").classes, 47);
  EXPECT_EQ(resolve_model("lenet5", image_format("cifar10")).input, (Shape{3, 32, 32}));
}

TEST(FmaPeak, IsMeasured) {
  const auto peak = measure_fma_peak();
  if (!peak) GTEST_SKIP() << "this build has no CPU backend";
  EXPECT_GT(peak->gflops, 0.0);
  EXPECT_GE(peak->threads, 1);
  EXPECT_THAT(peak->instructions, testing::EndsWith("-bit registers"));
}

TEST(Flags, BytesHaveUnitsOf1024) {
  const auto bytes = [](const std::string& text) { return bytes_of("--data-memory", text); };
  EXPECT_EQ(bytes("0"), 0);
  EXPECT_EQ(bytes("512"), 512);
  EXPECT_EQ(bytes("512B"), 512);
  EXPECT_EQ(bytes("64kb"), 64 << 10);
  EXPECT_EQ(bytes("512 MiB"), 512 << 20);
  EXPECT_EQ(bytes("1.5GB"), 3LL << 29);
  EXPECT_EQ(bytes("2T"), 2LL << 40);
  for (const char* text : {"", "-5", "MB", "1.5", "1e30GB", "nan", "inf", "8 horses", "1GB!", "0x10"}) {
    try {
      bytes(text);
      ADD_FAILURE() << text;
    } catch (const CLI::ValidationError& error) {
      EXPECT_EQ(
          std::string(error.what()),
          fmt::format("--data-memory: '{}' is not a number of bytes, as 1000000, 512MB or 1.5GB", text));
    }
  }
}

}  // namespace
}  // namespace convoy
