// The images of a data set, written as PNG: predict must see in them exactly what eval sees in the data.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "convoy/catalog.h"
#include "engine/core/philox.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

namespace fs = std::filesystem;

void export_png(const fs::path& folder, const Dataset& dataset) {
  const auto channels = static_cast<std::size_t>(dataset.image[0]);
  const auto size = static_cast<std::size_t>(dataset.image.count()), plane = size / channels;
  fs::create_directories(folder);
  for (std::size_t i = 0; i < dataset.labels.size(); ++i) {
    Pixels pixels{static_cast<int>(dataset.image[2]),
                  static_cast<int>(dataset.image[1]),
                  static_cast<int>(channels),
                  {}};
    for (std::size_t p = 0; p < size; ++p) {
      pixels.values.push_back(dataset.pixels[size * i + p % channels * plane + p / channels]);
    }
    write_png(folder / fmt::format("{}.png", i), pixels);
  }
}

class ExportedTest : public testing::Test {
 protected:
  /// Trains on a folder, and compares what eval says of its test half with what predict says of the same
  /// images as pictures: every class and, by the mean loss, every logit.
  void expect_same(const std::string& dataset, const fs::path& data, std::vector<std::string> train = {},
                   bool transposed = false) {
    std::vector<std::string> arguments = {
        "train", "--dataset", dataset, "--data",        data,   "--epochs",   "1", "--swa", "--bn-batches",
        "4",     "--out",     "run",   "--limit-train", "2000", "--overwrite"};
    arguments.insert(arguments.end(), train.begin(), train.end());
    const Outcome trained = run(arguments, here_);
    ASSERT_EQ(trained.code, 0) << trained.err;
    const Outcome evaluated =
        run({"eval", "--checkpoint", "run/model.ckpt", "--data", data, "--json"}, here_);
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    const auto eval = json_lines(evaluated.out).at(0);

    const DatasetPair pair = load(dataset, data);
    const Dataset test = transposed ? transpose(pair.test) : pair.test;
    export_png(folder_ / "png", test);
    arguments = {"predict", "--checkpoint", "run/model.ckpt", "--json"};
    for (std::size_t i = 0; i < test.labels.size(); ++i) arguments.push_back(fmt::format("png/{}.png", i));
    const Outcome predicted = run(arguments, here_);
    ASSERT_EQ(predicted.code, 0) << predicted.err;
    compare(eval, json_lines(predicted.out), test);
  }

  static void compare(const nlohmann::json& eval, const std::vector<nlohmann::json>& predictions,
                      const Dataset& test) {
    ASSERT_EQ(predictions.size(), test.labels.size());
    const std::size_t classes = eval["confusion"].size();
    std::vector<std::vector<std::int64_t>> confusion(classes, std::vector<std::int64_t>(classes, 0));
    double loss = 0.0;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      EXPECT_EQ(predictions[i]["prepared"], "as it is") << i;
      const auto logits = predictions[i]["logits"].get<std::vector<double>>();
      const auto best = std::max_element(logits.begin(), logits.end());
      ++confusion[test.labels[i]][static_cast<std::size_t>(best - logits.begin())];
      double sum = 0.0;
      for (const double logit : logits) sum += std::exp(logit - *best);
      loss += std::log(sum) + *best - logits[test.labels[i]];
    }
    EXPECT_EQ(nlohmann::json(confusion), eval["confusion"]);
    // The same logits, summed in the same order in double: only the compiler's rounding may differ.
    const double mean = loss / static_cast<double>(predictions.size());
    EXPECT_NEAR(mean, eval["loss"].get<double>(), 1e-12 * std::max(1.0, mean));
  }

  TemporaryFolder folder_;
  Surroundings here_ = {folder_.path()};
};

TEST_F(ExportedTest, OfOnesOwnIdxFiles) {
  write_idx_data(folder_ / "digits");
  expect_same("idx", folder_ / "digits");
}

TEST_F(ExportedTest, OfDataThatAreNormalised) {
  write_idx_data(folder_ / "digits");
  expect_same("idx", folder_ / "digits", {"--mean", "0.4", "--std", "0.3"});
  const auto record = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
  EXPECT_EQ(record["preparation"]["mean"], nlohmann::json::array({0.4}));
  EXPECT_EQ(record["preparation"]["std"], nlohmann::json::array({0.3}));
  // The model's file alone tells it as well.
  fs::remove(folder_ / "run/run.json");
  const Outcome evaluated =
      run({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--json"}, here_);
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const auto eval = json_lines(evaluated.out).at(0);
  EXPECT_EQ(eval["dataset"], "idx");
  EXPECT_EQ(eval["accuracy"], record["results"]["accuracy"]);
  const Outcome plain = run(
      {"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--json", "--mean", "0", "--std", "1"},
      here_);
  EXPECT_NE(json_lines(plain.out).at(0)["loss"], eval["loss"]);
}

TEST_F(ExportedTest, OfTransposedDataAsUprightPictures) {
  write_idx_data(folder_ / "digits");
  expect_same("idx", folder_ / "digits", {"--transpose"}, /*transposed=*/true);
}

// What is not given is as it was in training, whether that was asked for or came from the files' names.
TEST_F(ExportedTest, EvaluatesFilesOfEmnistAsTheyWereTrained) {
  write_idx_data(folder_ / "digits");
  for (const auto& file : fs::directory_iterator(folder_ / "digits")) {
    std::string name = file.path().filename().string();
    if (name.starts_with("t10k")) name.replace(0, 4, "test");
    fs::rename(file, folder_ / "digits" / ("emnist-digits-" + name));
  }
  for (const std::vector<std::string>& flags : {std::vector<std::string>{}, {"--no-transpose"}}) {
    SCOPED_TRACE(flags.size());
    std::vector<std::string> arguments = {"train", "--dataset", "idx",      "--data", "digits",
                                          "--out", "run",       "--epochs", "1",      "--overwrite"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome trained = run(arguments, here_);
    ASSERT_EQ(trained.code, 0) << trained.err;
    const auto record = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
    EXPECT_EQ(record["preparation"]["transposed"], flags.empty());
    EXPECT_EQ(record["preparation"]["left_transposed"], !flags.empty());
    const auto loss = [&](const std::vector<std::string>& more) {
      std::vector<std::string> eval = {"eval",   "--checkpoint", "run/model.ckpt",
                                       "--data", "digits",       "--json"};
      eval.insert(eval.end(), more.begin(), more.end());
      return json_lines(run(eval, here_).out).at(0)["loss"].get<double>();
    };
    EXPECT_EQ(loss({}), loss({flags.empty() ? "--transpose" : "--no-transpose"}));
    EXPECT_NE(loss({}), loss({flags.empty() ? "--no-transpose" : "--transpose"}));
  }
}

TEST_F(ExportedTest, GoesOnWithImagesAsTheCheckpointSawThem) {
  write_idx_data(folder_ / "digits");
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--dataset", "idx",      "--data", "digits",
                                          "--out", out,         "--epochs", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(arguments, here_);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(read_file(folder_ / out / "run.json"))["preparation"];
  };
  const auto first = train("first", {"--mean", "0.4", "--std", "0.3", "--transpose"});
  EXPECT_EQ(train("tuned", {"--init", "first/model.ckpt"}), first);
  const auto other = train("other", {"--init", "first/model.ckpt", "--mean", "0.5", "--no-transpose"});
  EXPECT_EQ(other["mean"], nlohmann::json::array({0.5}));
  EXPECT_EQ(other["transposed"], false);
}

// Another tool's run.json beside a model that says all itself.
TEST_F(ExportedTest, NeedsNoRecordIfTheModelAndTheFlagsSayAll) {
  write_idx_data(folder_ / "digits");
  expect_same("idx", folder_ / "digits");
  write_file(folder_ / "run/run.json", R"({"my": 1})");
  const Outcome named =
      run({"eval", "--checkpoint", "run/model.ckpt", "--dataset", "idx", "--data", "digits"}, here_);
  EXPECT_EQ(named.code, 0) << named.err;
  fs::remove(folder_ / "run/model.json");
  const Outcome unknown = run({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits"}, here_);
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.err,
            "convoy: error: run/run.json: not a run.json of Convoy's; name the data set with --dataset\n");
}

TEST_F(ExportedTest, OfCifar10) {
  fs::create_directory(folder_ / "cifar");
  PhiloxSequence noise({.seed = 3, .stream = 0});
  for (const std::string name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
    std::string records;
    for (int i = 0; i < 40; ++i) {
      records.push_back(static_cast<char>(i % 10));
      for (int p = 0; p < 3072; ++p) records.push_back(static_cast<char>(noise.below(20 + 20 * (i % 10))));
    }
    write_file(folder_.path() / "cifar" / (name + ".bin"), records);
  }
  write_file(folder_ / "m.json", R"({"name": "m", "input": [3, 32, 32], "layers": [
    {"name": "pool", "type": "AvgPool2d", "kernel_size": 4}, {"name": "flatten", "type": "Flatten"},
    {"name": "fc", "type": "Linear", "in_features": 192, "out_features": 10}]})");
  expect_same("cifar10", folder_ / "cifar", {"--model", "m.json", "--batch-size", "20"});
}

TEST_F(ExportedTest, OfMnistByNameAndAsIdx) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name a folder with MNIST";
  expect_same("mnist", *mnist);
  expect_same("idx", *mnist);
  const auto record = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
  EXPECT_EQ(record["preparation"]["framing"], "mnist") << "which its images show, whatever they are called";
}

TEST_F(ExportedTest, OfFashionMnistByNameAndAsIdx) {
  const fs::path fashion = DataSearch().packaged_fashion_mnist;
  if (!fs::exists(fashion)) GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
  expect_same("fashion-mnist", fashion);
  expect_same("idx", fashion);
  const auto record = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
  EXPECT_EQ(record["preparation"]["framing"], "fit");
}

}  // namespace
}  // namespace convoy::test
