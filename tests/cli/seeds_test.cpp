// --seeds: trainings that differ in their seed alone, in one process.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "apps/convoy/statistics.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class SeedsTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "model.json", tiny_model_json());
  }

  static std::vector<std::string> command(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train",   "--dataset",    "idx",      "--data", "digits",
                                          "--model", "model.json",   "--device", "cpu",    "--epochs",
                                          "3",       "--batch-size", "50"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  Outcome train(const std::vector<std::string>& more) const { return run(command(more), {folder_.path()}); }
  std::string bytes(const std::string& file) const { return read_file(folder_ / file); }
  nlohmann::json record(const std::string& run) const {
    return nlohmann::json::parse(bytes(run + "/run.json"));
  }

  TemporaryFolder folder_;
};

TEST_F(SeedsTest, EachIsItsSingleRun) {
  const std::vector<std::string> flags = {"--shift", "1", "--test-every", "4"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), flags.begin(), flags.end());
    return train(more);
  };
  const Outcome outcome = with({"--seeds", "7,1-2", "--out", "sweep"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::vector<double> accuracies, losses;
  for (const std::string seed : {"7", "1", "2"}) {
    ASSERT_EQ(with({"--seed", seed, "--out", "single" + seed}).code, 0);
    EXPECT_TRUE(bytes("sweep/" + seed + "/model.ckpt") == bytes("single" + seed + "/model.ckpt")) << seed;
    const auto ours = record("sweep/" + seed), alone = record("single" + seed);
    EXPECT_EQ(ours["flags"], alone["flags"]);
    EXPECT_EQ(ours["results"]["loss"], alone["results"]["loss"]);
    accuracies.push_back(100 * alone["results"]["accuracy"].get<double>());
    losses.push_back(alone["results"]["loss"]);
    EXPECT_THAT(outcome.out, HasSubstr(fmt::format("\nseed {}  test accuracy {:.2f} %, loss {:.4f}, ", seed,
                                                   accuracies.back(), losses.back())));
  }
  EXPECT_FALSE(bytes("sweep/1/model.ckpt") == bytes("sweep/2/model.ckpt"));
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("\nseeds   7, 1-2, one after the other\n"), Not(HasSubstr("Epoch ["))));
  EXPECT_THAT(outcome.out,
              HasSubstr(fmt::format("Mean of 3 seeds: test accuracy {} %, loss {}, ",
                                    in_words(mean_of(accuracies), 2), in_words(mean_of(losses), 4))));
  EXPECT_THAT(outcome.out, HasSubstr("95 % interval of the mean: Student's t with 2 degrees of freedom\n"));
  // A folder is that of a training of its own.
  EXPECT_THAT(train({"--resume", "sweep/7"}).err, HasSubstr("sweep/7 has finished"));
  EXPECT_EQ(json_lines(bytes("sweep/7/log.jsonl"))[0]["event"], "run");
}

// The folder of a seed repeats that seed, whether the flags came from a file or from the command line.
TEST_F(SeedsTest, EachIsRepeatedFromItsFolder) {
  write_file(folder_ / "f.toml",
             "dataset = \"idx\"\ndata = \"digits\"\nmodel = \"model.json\"\ndevice = \"cpu\"\nepochs = 2\n"
             "batch-size = 50\nseed = 9\nflip = \"alternating\"\nswa = true\n");
  const auto only = [&](std::vector<std::string> more) {
    more.insert(more.begin(), "train");
    return run(more, {folder_.path()});
  };
  const Outcome by_file = only({"--seeds", "1-2", "--config", "f.toml", "--lr", "0.01", "--out", "by_file"});
  ASSERT_EQ(by_file.code, 0) << by_file.err;
  ASSERT_EQ(train({"--seeds", "1-2", "--flip", "--out", "by_flags"}).code, 0);
  for (const char* sweep : {"by_file", "by_flags"}) {
    for (const char* seed : {"1", "2"}) {
      const std::string folder = fmt::format("{}/{}", sweep, seed), again = fmt::format("{}_{}", sweep, seed);
      const Outcome repeated = only({"--config", folder + "/config.toml", "--out", again});
      ASSERT_EQ(repeated.code, 0) << repeated.err;
      EXPECT_EQ(record(again)["seed"], record(folder)["seed"]);
      EXPECT_TRUE(bytes(again + "/model.ckpt") == bytes(folder + "/model.ckpt")) << folder;
      EXPECT_EQ(bytes(again + "/config.toml"), bytes(folder + "/config.toml"));
    }
  }
  EXPECT_EQ(record("by_file/2")["seed"], 2);
  EXPECT_EQ(record("by_file/2")["flip"], "alternating");
  EXPECT_FALSE(bytes("by_file/1/model.ckpt") == bytes("by_file/2/model.ckpt"));
  // Once more the same, which has finished.
  EXPECT_THAT(only({"--seeds", "1-2", "--config", "f.toml", "--lr", "0.01", "--out", "by_file"}).out,
              HasSubstr("had finished in by_file/2\n"));
}

TEST_F(SeedsTest, EventsCarryTheirSeed) {
  const Outcome outcome = train({"--seeds", "1,2", "--json", "--log-every", "0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i]["seed"], i < events.size() / 2 ? 1 : 2) << events[i];
  }
  const auto& last = events.back();
  EXPECT_EQ(last["event"], "seeds");
  EXPECT_EQ(last["training_shared"], false);
  ASSERT_EQ(last["seeds"].size(), 2u);
  std::vector<double> accuracies;
  for (const auto& seed : last["seeds"]) {
    EXPECT_EQ(seed["folder"], fmt::format("runs/tiny-idx-{}", seed["seed"].get<int>()));
    EXPECT_EQ(seed["accuracy"], record(seed["folder"])["results"]["accuracy"]);
    EXPECT_EQ(seed["ended"], "epochs");
    accuracies.push_back(seed["accuracy"]);
  }
  EXPECT_EQ(last["accuracy"]["mean"], mean_of(accuracies).mean);
  EXPECT_EQ(last["accuracy"]["high"], mean_of(accuracies).high());
  EXPECT_EQ(last["accuracy"]["count"], 2);
}

TEST_F(SeedsTest, AnInterruptSavesAndTheSameCommandGoesOn) {
  ASSERT_EQ(train({"--seeds", "1-3", "--out", "whole", "--epochs", "40"}).code, 0);
  const std::vector<std::string> flags = {"--seeds", "1-3", "--out", "stopped", "--epochs", "40"};
  const Outcome stopped = run_and_signal(command(flags), {folder_.path()}, "seed 1  test accuracy", SIGINT);
  ASSERT_EQ(stopped.code, 128 + SIGINT) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on with all of them"));
  const Outcome outcome = train(flags);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("had finished in stopped/1\n"));
  for (const char* seed : {"1", "2", "3"}) {
    EXPECT_TRUE(bytes(fmt::format("stopped/{}/model.ckpt", seed)) ==
                bytes(fmt::format("whole/{}/model.ckpt", seed)));
  }
  // More of them train what is missing.
  const Outcome more = train({"--seeds", "3-4", "--out", "stopped", "--epochs", "40"});
  EXPECT_THAT(more.out,
              AllOf(HasSubstr("had finished in stopped/3\n"), HasSubstr("\nseed 4  test accuracy")));
}

// To repeat the command as it was would begin anew what has been trained.
TEST_F(SeedsTest, AnInterruptUnderOverwriteSaysHowNothingIsLost) {
  const std::vector<std::string> flags = {"--seeds", "1-3", "--out", "sweep", "--epochs", "40"};
  std::vector<std::string> anew = flags;
  anew.push_back("--overwrite");
  Outcome stopped = run_and_signal(command(anew), {folder_.path()}, "seed 1  test accuracy", SIGINT);
  ASSERT_EQ(stopped.code, 128 + SIGINT) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command without --overwrite goes on with all of them"));
  const Outcome outcome = train(flags);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("had finished in sweep/1\n"));
  // Now the third's folder holds what is to be replaced.
  stopped = run_and_signal(command(anew), {folder_.path()}, "seed 1  test accuracy", SIGINT);
  ASSERT_EQ(stopped.code, 128 + SIGINT) << stopped.err;
  EXPECT_THAT(stopped.err,
              HasSubstr("go on with --seeds 1,2 without --overwrite, then begin --seeds 3 with it"));
}

// By what may change the training: neither another spelling nor what is told does.
TEST_F(SeedsTest, TheSameFlagsCountHoweverTheyAreWritten) {
  ASSERT_EQ(train({"--seeds", "1", "--out", "sweep", "--lr", "0.002", "--log-every", "2"}).code, 0);
  const Outcome same = train({"--seeds", "1", "--out", "sweep", "--lr", "2e-3", "--keep", "1"});
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("had finished in sweep/1\n"));
  const Outcome other = train({"--seeds", "1", "--out", "sweep", "--lr", "0.003", "--shift", "1"});
  EXPECT_EQ(other.code, kUsage);
  EXPECT_THAT(other.err, AllOf(HasSubstr("--lr was 0.002, is 0.003"), HasSubstr("--shift was "),
                               HasSubstr("--resume sweep/1")));
}

TEST_F(SeedsTest, WhatFoldersHoldIsLookedIntoBeforeAnythingTrains) {
  const auto refused = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = train(flags);
    EXPECT_EQ(outcome.code, kUsage) << outcome.out;
    return outcome.err;
  };
  // A model without its run.json.
  std::filesystem::create_directories(folder_ / "bare/2");
  write_file(folder_ / "bare/2/model.ckpt", "of something else");
  EXPECT_THAT(refused({"--seeds", "1-2", "--out", "bare"}),
              HasSubstr("bare/2/model.ckpt is a finished model"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "bare/1"));
  // Trainings of other images, finished and not.
  ASSERT_EQ(train({"--seeds", "2", "--out", "sweep"}).code, 0);
  auto json = record("sweep/2");
  json["data_crc32"] = 1;
  write_file(folder_ / "sweep/2/run.json", json.dump());
  EXPECT_THAT(refused({"--seeds", "1-2", "--out", "sweep"}), HasSubstr("their checksum is another"));
  std::filesystem::remove(folder_ / "sweep/2/model.ckpt");
  EXPECT_THAT(refused({"--seeds", "1-2", "--out", "sweep"}), HasSubstr("their checksum is another"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "sweep/1"));
}

TEST_F(SeedsTest, WhatAnotherBuildHasFinishedIsNamed) {
  ASSERT_EQ(train({"--seeds", "1", "--out", "sweep"}).code, 0);
  auto json = record("sweep/1");
  json["versions"]["convoy"] = "0.0";
  json["results"]["ended"] = 5;  // as somebody's editor may leave it
  write_file(folder_ / "sweep/1/run.json", json.dump());
  const Outcome outcome = train({"--seeds", "1-2", "--out", "sweep"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("sweep/1 was computed by another device or build"));
  EXPECT_THAT(outcome.out, HasSubstr("Mean of 2 seeds: "));
}

// One that cannot go on, which is seen when it begins, is a failure of its own.
TEST_F(SeedsTest, ABadFolderBehindTheFirstLeavesTheOthers) {
  ASSERT_EQ(train({"--seeds", "2", "--out", "sweep"}).code, 0);
  std::filesystem::remove(folder_ / "sweep/2/model.ckpt");
  write_file(folder_ / "sweep/2/model.json", "{}");
  const Outcome outcome = train({"--seeds", "1-3", "--out", "sweep"});
  EXPECT_EQ(outcome.code, kFailed) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("seed 2  failed: "), HasSubstr("Mean of 2 seeds: ")));
}

TEST_F(SeedsTest, WhatIsThereIsNotReplaced) {
  ASSERT_EQ(train({"--seeds", "1-2", "--out", "sweep"}).code, 0);
  const Outcome refused = train({"--seeds", "2-3", "--out", "sweep", "--lr", "0.01"});
  EXPECT_EQ(refused.code, kUsage);
  EXPECT_THAT(refused.err, HasSubstr("sweep/2 holds a training with other flags"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "sweep/3"));
  const Outcome replaced = train({"--seeds", "2-3", "--out", "sweep", "--lr", "0.01", "--overwrite"});
  EXPECT_EQ(replaced.code, 0) << replaced.err;
  EXPECT_EQ(record("sweep/2")["learning_rate"], 0.01);
  EXPECT_EQ(record("sweep/1")["learning_rate"], 0.001);
}

TEST_F(SeedsTest, OneThatFailsLeavesTheOthers) {
  std::filesystem::create_directory(folder_ / "sweep");
  write_file(folder_ / "sweep/1", "a file where a folder should be");
  const Outcome outcome = train({"--seeds", "1-2", "--out", "sweep"});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("seed 1  failed: sweep/1: the output folder cannot be created"),
                                 HasSubstr("Mean of 1 seed: ")));
  EXPECT_THAT(outcome.err, HasSubstr("1 of 2 seeds failed: seed 1: "));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "sweep/2/model.ckpt"));
}

TEST_F(SeedsTest, WhatCannotBeIsOneClearLine) {
  const auto refused = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = train(flags);
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refused({"--seeds", "4-1"}), HasSubstr("'4-1' is not a list of seeds, as 1-8 or 1,5,9"));
  EXPECT_THAT(refused({"--seeds", "1-4", "--seed", "2"}), HasSubstr("--seed excludes --seeds"));
  EXPECT_THAT(refused({"--seeds", "1-4", "--resume", "x"}), HasSubstr("--resume excludes --seeds"));
  EXPECT_THAT(refused({"--seeds", "1-4", "--profile", "2"}), HasSubstr("--profile excludes --seeds"));
  EXPECT_THAT(refused({"--seeds-at-once", "2"}), HasSubstr("--seeds-at-once requires --seeds"));
  EXPECT_THAT(refused({"--seeds", "1-4", "--seeds-at-once", "2"}),
              HasSubstr("--seeds-at-once 2 needs a GPU: the cpu backend trains one after the other"));
  EXPECT_THAT(refused({"--seeds", "1-4", "--batch-size", "501"}),
              HasSubstr("--batch-size 501 is larger than"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

}  // namespace
}  // namespace convoy::test
