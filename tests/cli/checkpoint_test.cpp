// convoy eval and predict: what they make of a checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "convoy/catalog.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

TEST(Eval, ReproducesWhatTrainingSaid) {
  const TemporaryFolder folder;
  write_idx_data(folder / "digits");
  const Outcome trained =
      run({"train", "--dataset", "idx", "--data", "digits", "--json", "--out", "run"}, {folder.path()});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto said = json_lines(trained.out).back();

  const Outcome outcome =
      run({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--json"}, {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  ASSERT_EQ(events.size(), 1u);
  const auto& eval = events[0];
  EXPECT_EQ(eval["dataset"], "idx");
  EXPECT_EQ(eval["accuracy"], said["accuracy"]);
  // The device sums 200 float losses, this one double ones, from a network whose norms are folded (see
  // tests/train/inference_test.cpp): eps(float) times the length is far above both.
  EXPECT_NEAR(eval["loss"].get<double>(), said["loss"].get<double>(),
              200 * 1.2e-7 * said["loss"].get<double>());
  EXPECT_EQ(eval["classes"].size(), 10u);
  EXPECT_EQ(eval["classes"][3]["count"], 20);
  std::int64_t right = 0, all = 0;
  for (std::size_t truth = 0; truth < 10; ++truth) {
    right += eval["confusion"][truth][truth].get<std::int64_t>();
    for (const auto& count : eval["confusion"][truth]) all += count.get<std::int64_t>();
  }
  EXPECT_EQ(all, 200);
  EXPECT_EQ(static_cast<double>(right) / 200.0, eval["accuracy"].get<double>());
  EXPECT_EQ(eval["tta"], "none");

  std::vector<double> losses = {eval["loss"]};
  for (const std::string views : {"flip", "shift", "flip,shift"}) {
    const Outcome averaged =
        run({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--tta", views, "--json"},
            {folder.path()});
    ASSERT_EQ(averaged.code, 0) << averaged.err;
    const auto event = json_lines(averaged.out).back();
    EXPECT_EQ(event["tta"], views);
    EXPECT_EQ(event["samples"], 200);
    losses.push_back(event["loss"]);
  }
  std::ranges::sort(losses);
  EXPECT_EQ(std::ranges::adjacent_find(losses), losses.end()) << "each has views of its own";
}

// Data of one's own are found from any working folder, and told from others at their place.
TEST(Eval, TellsWhetherTheDataAreThoseOfTheTraining) {
  const TemporaryFolder folder;
  for (const char* name : {"own", "elsewhere/own"}) std::filesystem::create_directories(folder / name);
  write_idx_data(folder / "own");
  write_idx_data(folder / "elsewhere/own", {.train = 250, .test = 150});
  const Outcome trained = run({"train", "--dataset", "idx", "--data", "own", "--validation", "100",
                               "--limit-train", "400", "--epochs", "1", "--json", "--out", "run"},
                              {folder.path()});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto evaluated = [&] {
    return run({"eval", "--checkpoint", "../run/model.ckpt"}, {folder / "elsewhere"});
  };
  const std::string own = (folder / "own").string();
  const Outcome same = evaluated();
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("idx, " + own + " (where it was trained)\n"));
  EXPECT_THAT(same.out, HasSubstr("on the 200 test images"));
  EXPECT_EQ(same.err, "");

  write_idx_data(folder / "own", {.train = 250, .test = 150});
  const Outcome others = evaluated();
  ASSERT_EQ(others.code, 0) << others.err;
  EXPECT_THAT(others.out, HasSubstr("idx, " + own + " (where its data were)\n"));
  EXPECT_EQ(others.err, "convoy: note: the training images in " + own +
                            " are not those of the training: their checksum is another; the data have "
                            "changed or are others\n");
  const Outcome asked =
      run({"eval", "--checkpoint", "../run/model.ckpt", "--data", "own"}, {folder / "elsewhere"});
  EXPECT_EQ(asked.err, "") << "other data may be asked for";
}

TEST(Eval, PrintsTables) {
  const TemporaryFolder folder;
  write_idx_data(folder / "digits");
  write_file(folder / "tiny.json", tiny_model_json());
  ASSERT_EQ(run({"train", "--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--out", "run"},
                {folder.path()})
                .code,
            0);
  const Outcome outcome = run({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--dataset",
                               "fashion-mnist", "--batch-size", "1000"},
                              {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Accuracy on the 200 test images: "));
  EXPECT_THAT(outcome.out, HasSubstr("precision"));
  EXPECT_THAT(outcome.out, HasSubstr("Ankle boot"));
}

/// A picture made from an MNIST digit: enlarged, on a wider ground, in two colours.
Pixels repaint(const Dataset& digits, std::size_t index, int scale, int margin,
               const std::array<std::uint8_t, 3>& ink, const std::array<std::uint8_t, 3>& ground) {
  const int size = 28 * scale + 2 * margin;
  Pixels pixels{size, size, 3, {}};
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const int row = (y - margin) / scale, column = (x - margin) / scale;
      const bool inside = y >= margin && x >= margin && row < 28 && column < 28;
      const auto offset = index * 784 + static_cast<std::size_t>(inside ? row * 28 + column : 0);
      const int strength = inside ? digits.pixels[offset] : 0;
      for (std::size_t c = 0; c < 3; ++c) {
        pixels.values.push_back(
            static_cast<std::uint8_t>((ink[c] * strength + ground[c] * (255 - strength)) / 255));
      }
    }
  }
  return pixels;
}

TEST(Predict, ReadsDigitsOfAnySizeAndColour) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name a folder with MNIST";
  const TemporaryFolder folder;
  const Surroundings here = {folder.path(), {{"CONVOY_DATA", mnist->string()}}};
  const Outcome trained = run({"train", "--limit-train", "10000", "--epochs", "1", "--out", "run"}, here);
  ASSERT_EQ(trained.code, 0) << trained.err;

  const Dataset digits = load("mnist", *mnist).test;
  struct Painting {
    const char* name;
    int scale, margin;
    std::array<std::uint8_t, 3> ink, ground;
  };
  const Painting paintings[] = {{"as it is", 1, 0, {255, 255, 255}, {0, 0, 0}},
                                {"enlarged", 7, 30, {255, 255, 255}, {0, 0, 0}},
                                {"inverted", 4, 11, {0, 0, 0}, {255, 255, 255}},
                                {"blue on yellow", 5, 40, {20, 30, 160}, {250, 230, 90}},
                                {"pale on grey", 3, 0, {230, 240, 220}, {110, 100, 105}}};
  constexpr std::size_t kDigits = 20;
  for (const Painting& painting : paintings) {
    SCOPED_TRACE(painting.name);
    std::vector<std::string> arguments = {"predict", "--checkpoint", "run/model.ckpt", "--json"};
    for (std::size_t i = 0; i < kDigits; ++i) {
      const std::string name = std::to_string(i) + ".png";
      write_png(folder / name,
                repaint(digits, i, painting.scale, painting.margin, painting.ink, painting.ground));
      arguments.push_back(name);
    }
    const Outcome outcome = run(arguments, here);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto predictions = json_lines(outcome.out);
    ASSERT_EQ(predictions.size(), kDigits);
    int right = 0;
    for (std::size_t i = 0; i < kDigits; ++i) {
      right += predictions[i]["class"] == std::to_string(digits.labels[i]);
      double sum = 0.0;
      for (const auto& probability : predictions[i]["probabilities"]) sum += probability.get<double>();
      EXPECT_NEAR(sum, 1.0, 1e-14);  // ten doubles, a few eps each
    }
    EXPECT_GE(right, 18);  // the model itself is right on about 97 of 100
  }
}

TEST(Predict, PrintsDigitAndProbabilities) {
  const TemporaryFolder folder;
  write_idx_data(folder / "digits");
  ASSERT_EQ(run({"train", "--dataset", "idx", "--data", "digits", "--out", "run"}, {folder.path()}).code, 0);
  // A cross, in grey with two channels (grey and opacity): what is transparent counts as white.
  Pixels cross{9, 9, 2, {}};
  for (int i = 0; i < 81; ++i) {
    const bool ink = i / 9 == 4 || i % 9 == 4;
    cross.values.insert(cross.values.end(), {0, static_cast<std::uint8_t>(ink ? 255 : 0)});
  }
  write_png(folder / "cross.png", cross);
  const Outcome outcome = run({"predict", "--checkpoint", "run/model.ckpt", "cross.png"}, {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto text = lines(outcome.out);
  ASSERT_EQ(text.size(), 2u) << outcome.out;
  EXPECT_THAT(text[0], testing::MatchesRegex("cross.png: [0-9] .scaled as a whole."));
  EXPECT_THAT(text[1], testing::ContainsRegex("0 [0-9.]+ %  1 [0-9.]+ %"));
}

TEST(Predict, ColourModelsTakeColourPictures) {
  const TemporaryFolder folder;
  write_file(folder / "colour.json", R"({"name": "colour", "input": [3, 8, 8], "layers": [
    {"name": "flatten", "type": "Flatten"},
    {"name": "fc", "type": "Linear", "in_features": 192, "out_features": 10}]})");
  // No colour data set is at hand; labels and images of three channels are made here.
  std::filesystem::create_directory(folder / "data");
  for (const std::string half : {"train", "t10k"}) {
    write_idx_file(folder.path() / "data" / (half + "-images-idx3-ubyte"), {20, 3, 8, 8},
                   std::string(20 * 192, '\x40'));
    std::string labels;
    for (char i = 0; i < 20; ++i) labels.push_back(static_cast<char>(i % 10));
    write_idx_file(folder.path() / "data" / (half + "-labels-idx1-ubyte"), {20}, labels);
  }
  const Outcome trained = run({"train", "--dataset", "idx", "--data", "data", "--model", "colour.json",
                               "--batch-size", "10", "--epochs", "1", "--out", "run"},
                              {folder.path()});
  ASSERT_EQ(trained.code, 0) << trained.err;
  write_png(folder / "grey.png", {4, 4, 1, std::vector<std::uint8_t>(16, 200)});
  const Outcome outcome =
      run({"predict", "--checkpoint", "run/model.ckpt", "--dataset", "cifar10", "--json", "grey.png"},
          {folder.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(json_lines(outcome.out)[0]["probabilities"].contains("truck"));
}

}  // namespace
}  // namespace convoy::test
