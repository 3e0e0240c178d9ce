// What ends a training before it is done, or would: signals, a loss that is NaN, a folder that is taken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "convoy/checkpoint.h"
#include "convoy/state.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class LostWorkTest : public testing::Test {
 protected:
  void SetUp() override { write_idx_data(folder_ / "digits"); }

  std::vector<std::string> training(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"train", "--dataset", "idx", "--data", "digits", "--out", "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Outcome train(const std::vector<std::string>& more) const { return run(training(more), {folder_.path()}); }

  /// A training without an end, which gets `signal` so many times.
  Outcome train_until(int signal, int times = 1) const {
    return run_and_signal(training({"--epochs", "1000000", "--log-every", "1"}), {folder_.path()},
                          "Step [3/5]", signal, times);
  }

  nlohmann::json record() const { return nlohmann::json::parse(read_file(folder_.path() / "run/run.json")); }

  std::filesystem::path newest_state() const {
    return folder_ / "run/states" / files_under(folder_ / "run/states").back();
  }

  TemporaryFolder folder_;
};

TEST_F(LostWorkTest, EverySignalThatEndsAProgramSavesWhatWasReached) {
  const std::pair<int, const char*> cases[] = {
      {SIGINT, "interrupted in epoch"},
      {SIGTERM, "interrupted by SIGTERM in epoch"},
      {SIGHUP, "interrupted by SIGHUP in epoch"},
      {SIGQUIT, "interrupted by SIGQUIT in epoch"},
      {SIGXCPU, "interrupted by SIGXCPU (out of processor time) in epoch"}};
  for (const auto& [signal, words] : cases) {
    SCOPED_TRACE(words);
    std::filesystem::remove_all(folder_ / "run");
    const Outcome outcome = train_until(signal);
    EXPECT_EQ(outcome.code, 128 + signal);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(words), HasSubstr("its state is run/states/step-"),
                                   HasSubstr("go on with --resume run")));
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_EQ(load_checkpoint(newest_state()).size(), 16u);
  }
}

TEST_F(LostWorkTest, SeveralSignalsDoNotCutOffWhatIsSaved) {
  for (const int signal : {SIGHUP, SIGTERM}) {  // of a closing terminal, of an impatient batch system
    SCOPED_TRACE(signal);
    std::filesystem::remove_all(folder_ / "run");
    EXPECT_EQ(train_until(signal, 20).code, 128 + signal);
    EXPECT_EQ(load_checkpoint(newest_state()).size(), 16u);
  }
}

TEST_F(LostWorkTest, WhatWasIgnoredStaysIgnored) {
  for (const int signal : {SIGINT, SIGHUP, SIGQUIT}) {  // as nohup and the background jobs of scripts have it
    SCOPED_TRACE(signal);
    std::filesystem::remove_all(folder_ / "run");
    const auto before = std::signal(signal, SIG_IGN);
    const Outcome outcome = run_and_signal(training({"--epochs", "20", "--log-every", "1"}), {folder_.path()},
                                           "Step [3/5]", signal);
    std::signal(signal, before);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(record()["results"]["accuracy"].is_number(), true);
  }
}

TEST_F(LostWorkTest, ALossThatIsNanEndsTheTrainingAtItsFirstLine) {
  const Outcome outcome = train({"--epochs", "50", "--log-every", "1", "--optimizer", "sgd", "--lr", "1e20"});
  EXPECT_EQ(outcome.code, kFailed);
  ASSERT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
  EXPECT_THAT(
      outcome.err,
      ContainsRegex("training diverged: the loss is (nan|inf) in epoch 1 of 50 after step [2-5] of 5; try a "
                    "smaller --lr than 1e\\+20"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("Epoch [2/50]")));
  // The step before that line left finite weights, and they are kept.
  EXPECT_THAT(
      outcome.err,
      ContainsRegex("the last state known to be finite is run/states/step-0000000[1-4].ckpt: go on with "
                    "--resume run"));
  check_finite(load_checkpoint(newest_state()), "the last finite state");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/model.ckpt"));
  const std::string state = newest_state().string();
  EXPECT_EQ(run({"eval", "--checkpoint", state, "--data", "digits"}, {folder_.path()}).code, 0);
  // A smaller rate goes on from there, and that is said to be a change.
  const Outcome refused = run({"train", "--resume", "run", "--lr", "1e-3"}, {folder_.path()});
  EXPECT_EQ(refused.code, kUsage);
  EXPECT_THAT(refused.err, HasSubstr("run: --lr was 1e20, is 1e-3: leave out what differs, or go on with "
                                     "--allow-changes"));
}

TEST_F(LostWorkTest, WithoutLinesOfLossTheEpochsMeanCounts) {
  const Outcome outcome = train({"--epochs", "5", "--optimizer", "sgd", "--lr", "1e30"});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("Epoch [1/5] done: mean loss nan"), Not(HasSubstr("Epoch [2/5]"))));
  EXPECT_THAT(outcome.err, HasSubstr("no state since the start is known to be finite, and none is kept"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(LostWorkTest, AFinishedModelIsNotReplacedUnasked) {
  ASSERT_EQ(train({"--epochs", "1"}).code, 0);
  const std::string model = read_file(folder_ / "run/model.ckpt");
  const auto files = files_under(folder_.path());
  for (const auto& flags : {std::vector<std::string>{"--epochs", "1"}, {"--epochs", "1", "--seed", "2"}}) {
    const Outcome refused = train(flags);
    EXPECT_EQ(refused.code, kUsage);
    EXPECT_EQ(refused.err,
              "convoy: error: run/model.ckpt is a finished model; name another folder with --out, or replace "
              "it with "
              "--overwrite\n");
    EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), model);
    EXPECT_EQ(files_under(folder_.path()), files);
  }
  EXPECT_EQ(train({"--epochs", "1", "--seed", "2", "--overwrite"}).code, 0);
  EXPECT_NE(read_file(folder_ / "run/model.ckpt"), model);
}

TEST_F(LostWorkTest, WhatIsReplacedWaitsUntilTheNewOneIsDone) {
  ASSERT_EQ(train({"--epochs", "1"}).code, 0);
  const std::string model = read_file(folder_ / "run/model.ckpt");
  const auto overwrite = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--epochs", "1", "--seed", "2", "--overwrite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return train(arguments).code;
  };
  // One that leaves nothing gives it back.
  const auto files = files_under(folder_ / "run");
  EXPECT_EQ(overwrite({"--optimizer", "sgd", "--lr", "1e30"}), kFailed);
  EXPECT_EQ(files_under(folder_ / "run"), files);
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), model);
  // One that leaves a state keeps it aside, whole.
  EXPECT_EQ(run_and_signal(training({"--epochs", "1000000", "--log-every", "1", "--overwrite"}),
                           {folder_.path()}, "Step [3/5]", SIGINT)
                .code,
            128 + SIGINT);
  EXPECT_EQ(read_file(folder_ / "run/previous/model.ckpt"), model);
  EXPECT_EQ(
      run({"eval", "--checkpoint", "run/previous/model.ckpt", "--data", "digits"}, {folder_.path()}).code, 0);
  EXPECT_EQ(overwrite({}), 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/previous"));
}

TEST_F(LostWorkTest, AnUnfinishedTrainingIsNotReplacedUnasked) {
  ASSERT_EQ(train_until(SIGINT).code, 128 + SIGINT);
  const auto files = files_under(folder_.path());
  const Outcome refused = train({"--epochs", "1", "--seed", "2"});
  EXPECT_EQ(refused.code, kUsage);
  EXPECT_EQ(
      refused.err,
      "convoy: error: run holds a training that did not end; go on with it by --resume run, name another "
      "folder with --out, or begin anew with --overwrite\n");
  EXPECT_EQ(files_under(folder_.path()), files);
  EXPECT_EQ(train({"--epochs", "1", "--overwrite"}).code, 0);
}

TEST_F(LostWorkTest, ATrialMayBeRepeatedAsItWas) {
  const std::vector<std::string> trial = {"--epochs", "1", "--limit-train", "300"};
  ASSERT_EQ(train(trial).code, 0);
  const std::string model = read_file(folder_ / "run/model.ckpt");
  EXPECT_EQ(train(trial).code, 0);
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), model);
  EXPECT_EQ(train({"--epochs", "1", "--limit-train", "200"}).code, kUsage);
  EXPECT_EQ(train({"--epochs", "1"}).code, kUsage);
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), model);
}

TEST_F(LostWorkTest, ALastBatchOfOneImageIsSaid) {
  write_file(folder_ / "model.json", R"({"name": "m", "input": [1, 8, 8], "layers": [
    {"name": "c", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 8},
    {"name": "n", "type": "BatchNorm2d", "num_features": 4}, {"name": "f", "type": "Flatten"},
    {"name": "l", "type": "Linear", "in_features": 4, "out_features": 10}]})");
  const Outcome outcome = train({"--model", "model.json", "--limit-train", "301"});
  EXPECT_EQ(outcome.code, kUsage);
  EXPECT_THAT(outcome.err,
              HasSubstr("the last batch of an epoch has 1 image, what 301 leave over in batches of 100"));
  EXPECT_THAT(outcome.err,
              HasSubstr("one element a channel, which has no variance: it takes two images or more"));
}

}  // namespace
}  // namespace convoy::test
