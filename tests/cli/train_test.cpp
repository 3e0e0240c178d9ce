// convoy train: what it prints and writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "convoy/checkpoint.h"
#include "convoy/state.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

class TrainTest : public testing::Test {
 protected:
  void SetUp() override { write_idx_data(folder_ / "digits"); }

  /// Trains on the made-up data, on the CPU unless told otherwise.
  Outcome train(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"train",  "--dataset", "idx", "--data",
                                          "digits", "--epochs",  "1",   "--overwrite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path()});
  }

  TemporaryFolder folder_;
};

TEST_F(TrainTest, PrintsWhatTheClassicProgramPrints) {
  const Outcome outcome = train({"--epochs", "2", "--log-every", "2"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto text = lines(outcome.out);
  ASSERT_EQ(text.size(), 5u + 2 * (2 + 1) + 2) << outcome.out;
  EXPECT_THAT(text[0], HasSubstr("500 training and 200 test images (from --data)"));
  EXPECT_THAT(text[2], HasSubstr("device"));
  EXPECT_EQ(
      text[3],
      "weights the last step's, as in the classic program; --swa averages the last fifth (on MNIST half "
      "a point better after five epochs)");
  EXPECT_THAT(text[4], MatchesRegex("First step done after [0-9]+\\.[0-9]{2} s"));
  EXPECT_THAT(text[5], MatchesRegex("Epoch \\[1/2\\], Step \\[2/5\\], Loss: [0-9]+\\.[0-9]{4}"));
  EXPECT_THAT(text[9], MatchesRegex("Epoch \\[2/2\\], Step \\[4/5\\], Loss: [0-9]+\\.[0-9]{4}"));
  EXPECT_THAT(text[11],
              MatchesRegex("Test accuracy of the model on the 200 test images: [0-9]+\\.[0-9]{2} %"));
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);  // no terminal, no escapes
}

// The default is the classic program's; an average is asked for.
TEST_F(TrainTest, AveragesTheWeightsIfAsked) {
  ASSERT_EQ(train({"--epochs", "4", "--out", "classic"}).code, 0);
  ASSERT_EQ(train({"--epochs", "4", "--out", "averaged", "--swa", "--bn-batches", "0"}).code, 0);
  const Outcome outcome = train({"--epochs", "4", "--out", "measured", "--swa"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(
      lines(outcome.out).at(3),
      "weights the mean of ten sets from the last fifth of the steps (--swa); batch norm is then measured "
      "on 50 batches");
  const auto record = nlohmann::json::parse(read_file(folder_ / "measured/run.json"));
  EXPECT_EQ(record["swa"], true);
  EXPECT_EQ(record["bn_batches"], 50);
  const auto tensor = [&](const char* run, const char* name) {
    return find(load_checkpoint(folder_ / run / "model.ckpt"), name)->values;
  };
  for (const char* name : {"fc.weight", "layer1.1.running_mean"}) {
    EXPECT_NE(tensor("classic", name), tensor("measured", name)) << name;
  }
  EXPECT_EQ(tensor("averaged", "fc.weight"), tensor("measured", "fc.weight"));
  EXPECT_EQ(tensor("averaged", "layer1.1.running_mean"), tensor("classic", "layer1.1.running_mean"));

  const Outcome refused = train({"--bn-batches", "3"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_EQ(refused.err, "convoy: error: --bn-batches is of an average of the weights, which takes --swa\n");
}

TEST_F(TrainTest, ProfilesAsATableAndAsATrace) {
  const Outcome outcome = train({"--profile", "2", "--out", "here"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text : {"Profile of 2 steps", "layer2.0", "optimizer", "Wrote here/profile.json"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  const auto trace = nlohmann::json::parse(read_file(folder_ / "here/profile.json"));
  EXPECT_GT(trace.at("traceEvents").size(), 2 * 14u);

  const auto events = json_lines(train({"--profile", "2", "--json"}).out);
  const auto profile =
      std::ranges::find_if(events, [](const auto& event) { return event["event"] == "profile"; });
  ASSERT_NE(profile, events.end());
  EXPECT_EQ((*profile)["steps"], 2);
  EXPECT_EQ((*profile)["layers"].size(), 8u);

  const Outcome too_long = train({"--profile", "3"});
  EXPECT_EQ(too_long.code, 2);
  EXPECT_THAT(too_long.err, HasSubstr("a profile of 3 steps, 3 before it, needs an epoch of 6"));
}

TEST_F(TrainTest, ChecksThatEverythingIsFinite) {
  EXPECT_EQ(train({"--check-finite"}).code, 0);
  const Outcome outcome = train({"--check-finite", "--lr", "1e30", "--out", "here"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("step 2: the first NaN or infinity came out of layer"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "here")) << "nothing is worth keeping";
}

TEST_F(TrainTest, LearnsTheMadeUpDigits) {
  const Outcome outcome = train({"--epochs", "4", "--json", "--lr", "1e-2"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // Ten patterns that differ in half their pixels: anything that learns at all gets nearly all right.
  EXPECT_GE(json_lines(outcome.out).back()["accuracy"].get<double>(), 0.9);
}

TEST_F(TrainTest, WritesTheRunFolderAndNothingElse) {
  const Outcome outcome = train({"--seed", "7"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(files_under(folder_ / "runs"),
              ElementsAre("convnet-idx-7", "convnet-idx-7/config.toml", "convnet-idx-7/log.jsonl",
                          "convnet-idx-7/model.ckpt", "convnet-idx-7/model.json", "convnet-idx-7/report.html",
                          "convnet-idx-7/run.json", "convnet-idx-7/states",
                          "convnet-idx-7/states/step-00000005.ckpt"));
  const auto record = nlohmann::json::parse(read_file(folder_ / "runs/convnet-idx-7/run.json"));
  EXPECT_EQ(record["dataset"], "idx");
  EXPECT_EQ(record["seed"], 7);
  EXPECT_EQ(record["train_samples"], 500);
  EXPECT_TRUE(record["results"]["accuracy"].is_number());
}

TEST_F(TrainTest, JsonEventsHaveTheirFields) {
  const Outcome outcome = train({"--json", "--log-every", "2", "--out", "here"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  std::vector<std::string> names;
  for (const auto& event : events) names.push_back(event["event"]);
  ASSERT_THAT(names, ElementsAre("run", "first_step", "step", "step", "epoch", "eval", "done"));
  EXPECT_GT(events[1]["seconds"].get<double>(), 0.0);
  for (std::size_t i = 2; i < events.size(); ++i) {
    for (const char* field : {"loss", "images_per_second", "seconds"}) {
      EXPECT_TRUE(events[i][field].is_number()) << events[i];
    }
    if (names[i] != "step") {
      EXPECT_TRUE(events[i]["accuracy"].is_number()) << events[i];
    }
  }
  EXPECT_EQ(events[0]["batch_size"], 100);
  EXPECT_EQ(events[3]["step"], 4);
  EXPECT_EQ(events[3]["steps"], 5);
  EXPECT_EQ(events[5]["samples"], 200);
  EXPECT_EQ(events[6]["checkpoint"], "here/model.ckpt");
}

TEST_F(TrainTest, RecordsTheOptimizerAndTheAugmentation) {
  const struct {
    std::vector<std::string> flags;
    nlohmann::json expected;
  } cases[] = {
      {{}, {{"optimizer", "adam"}, {"learning_rate", 1e-3}, {"weight_decay", 0.0}, {"shift", 0}}},
      {{"--optimizer", "adamw", "--shift", "2", "--flip", "--label-smoothing", "0.1"},
       {{"optimizer", "adamw"},
        {"label_smoothing", 0.1},
        {"weight_decay", 0.01},
        {"shift", 2},
        {"flip", "random"}}},
      {{"--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.9", "--nesterov", "--weight-decay", "1e-4"},
       {{"optimizer", "sgd"},
        {"learning_rate", 0.05},
        {"weight_decay", 1e-4},
        {"momentum", 0.9},
        {"nesterov", true},
        {"flip", "none"}}},
      {{"--flip", "alternating", "--padding", "reflect", "--cutout", "3", "--rotate", "12.5", "--scale",
        "0.1"},
       {{"flip", "alternating"}, {"padding", "reflect"}, {"cutout", 3}, {"rotate", 12.5}, {"scale", 0.1}}},
      {{"--decay", "weights", "--clip-norm", "0.5", "--ema", "0.9", "--muon", "--muon-lr", "0.05",
        "--muon-linear"},
       {{"decay", "weights"},
        {"clip_norm", 0.5},
        {"ema", 0.9},
        {"muon",
         {{"learning_rate", 0.05}, {"momentum", 0.95}, {"weight_decay", 0.1}, {"linear_layers", true}}}}}};
  std::vector<std::string> checkpoints;
  for (const auto& c : cases) {
    std::vector<std::string> flags = {"--json", "--out", "run"};
    flags.insert(flags.end(), c.flags.begin(), c.flags.end());
    const Outcome outcome = train(flags);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto record = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
    const auto event = json_lines(outcome.out).front();
    for (const auto& [key, value] : c.expected.items()) {
      EXPECT_EQ(record[key], value) << key;
      EXPECT_EQ(event[key], value) << key;
    }
    EXPECT_EQ(record.contains("momentum"), record["optimizer"] == "sgd");
    checkpoints.push_back(read_file(folder_ / "run/model.ckpt"));
  }
  EXPECT_NE(checkpoints[0], checkpoints[1]) << "the flags reach the training";
  EXPECT_NE(checkpoints[0], checkpoints[2]);
  EXPECT_NE(checkpoints[0], checkpoints[3]);
}

TEST_F(TrainTest, EveryOptimizerAndAugmentationLearns) {
  const std::vector<std::string> cases[] = {{"--optimizer", "adamw", "--lr", "1e-2"},
                                            {"--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.9"},
                                            {"--lr", "1e-2", "--shift", "1"},
                                            {"--lr", "1e-2", "--shift", "1", "--padding", "reflect",
                                             "--cutout", "2", "--rotate", "5", "--scale", "0.05"},
                                            {"--muon", "--lr", "1e-2"},
                                            {"--ema", "0.9", "--lr", "1e-2", "--clip-norm", "1"}};
  for (const auto& c : cases) {
    std::vector<std::string> flags = {"--epochs", "8", "--json"};
    flags.insert(flags.end(), c.begin(), c.end());
    const Outcome outcome = train(flags);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_GE(json_lines(outcome.out).back()["accuracy"].get<double>(), 0.9) << c[1];
  }
}

TEST_F(TrainTest, TheSameSeedGivesTheSameCheckpoint) {
  for (const char* out : {"a", "b"}) {
    const Outcome outcome = train({"--epochs", "2", "--batch-size", "64", "--seed", "3", "--out", out});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  ASSERT_EQ(train({"--epochs", "2", "--batch-size", "64", "--seed", "4", "--out", "c"}).code, 0);
  EXPECT_EQ(read_file(folder_ / "a/model.ckpt"), read_file(folder_ / "b/model.ckpt"));
  EXPECT_NE(read_file(folder_ / "a/model.ckpt"), read_file(folder_ / "c/model.ckpt"));
}

TEST_F(TrainTest, ReferenceTrainsToo) {
  write_file(folder_ / "tiny.json", tiny_model_json());
  const Outcome outcome = train({"--device", "reference", "--model", "tiny.json", "--limit-train", "150",
                                 "--limit-test", "50", "--batch-size", "40", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  EXPECT_EQ(events.front()["device"], "reference");
  EXPECT_EQ(events.front()["train_samples"], 150);
  EXPECT_THAT(files_under(folder_ / "runs"), testing::Contains("tiny-idx-1/model.ckpt"));
}

TEST_F(TrainTest, InitGoesOnFromACheckpoint) {
  ASSERT_EQ(train({"--epochs", "3", "--lr", "1e-2", "--out", "first"}).code, 0);
  const Outcome fresh = train({"--json", "--log-every", "1", "--out", "fresh"});
  const Outcome resumed =
      train({"--json", "--log-every", "1", "--out", "resumed", "--init", "first/model.ckpt"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  // A trained state's first batch is better than a fresh one's.
  EXPECT_LT(json_lines(resumed.out)[2]["loss"].get<double>(), json_lines(fresh.out)[2]["loss"].get<double>());
}

TEST_F(TrainTest, SummaryPrintsAndStops) {
  const Outcome outcome = run({"train", "--summary"}, {folder_.path()});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("layer1.0"));
  EXPECT_THAT(outcome.out, HasSubstr("29,034"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

TEST_F(TrainTest, FindsDataByEnvironmentAndBesideTheWorkingFolder) {
  const std::vector<std::string> arguments = {"train",       "--epochs",  "1",    "--json",
                                              "--overwrite", "--dataset", "mnist"};
  const Outcome environment = run(arguments, {folder_.path(), {{"CONVOY_DATA", "digits"}}});
  EXPECT_EQ(environment.code, 0) << environment.err;
  std::filesystem::create_directory(folder_ / "data");
  std::filesystem::rename(folder_ / "digits", folder_ / "data/mnist");
  const Outcome beside = run(arguments, {folder_.path()});
  EXPECT_EQ(beside.code, 0) << beside.err;
}

TEST(TrainMnist, ReachesAGoodAccuracyOnRealDigits) {
  const auto mnist = real_mnist();
  if (!mnist) GTEST_SKIP() << "CONVOY_DATA does not name a folder with MNIST";
  const TemporaryFolder folder;
  const Outcome outcome =
      run({"train", "--limit-train", "3000", "--limit-test", "500", "--epochs", "1", "--json"},
          {folder.path(), {{"CONVOY_DATA", mnist->string()}}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // 30 steps reach about 93 %; guessing gives 10 %.
  EXPECT_GE(json_lines(outcome.out).back()["accuracy"].get<double>(), 0.85);
}

}  // namespace
}  // namespace convoy::test
