// Trainings that are stopped and go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <csignal>
#include <fstream>

#include "convoy/checkpoint.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class ResumeTest : public testing::Test {
 protected:
  // Of MNIST's size, so that a step takes long enough to be stopped behind.
  void SetUp() override { write_idx_data(folder_ / "digits", {.extent = 28}); }

  static std::vector<std::string> training(const std::string& out,
                                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", "--dataset",    "idx", "--data",      "digits", "--out",
                                          out,     "--shift",      "1",   "--epochs",    "8",      "--device",
                                          "cpu",   "--batch-size", "64",  "--log-every", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Outcome train(const std::string& out, const std::vector<std::string>& more = {}) const {
    return run(training(out, more), {folder_.path()});
  }

  Outcome resume(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"train", "--resume", name};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path()});
  }

  /// Stopped by `signal` in the middle of an epoch.
  Outcome stop(const std::string& out, int signal, const std::string& at,
               const std::vector<std::string>& more = {}) const {
    return run_and_signal(training(out, more), {folder_.path()}, at, signal);
  }

  std::string bytes(const std::string& file) const { return read_file(folder_ / file); }

  std::vector<std::string> states(const std::string& run) const {
    return files_under(folder_ / run / "states");
  }

  TemporaryFolder folder_;
};

// Eight steps an epoch, the last one of a smaller batch.
TEST_F(ResumeTest, EndsWithTheBitsOfAnUndisturbedTraining) {
  ASSERT_EQ(train("whole", {"--validation", "100", "--keep-best"}).code, 0);
  for (const int signal : {SIGINT, SIGKILL}) {
    SCOPED_TRACE(signal);
    const std::string name = signal == SIGINT ? "stopped" : "killed";
    EXPECT_EQ(stop(name, signal, "Epoch [2/8], Step [3/7]",
                   {"--validation", "100", "--keep-best", "--save-every", "3", "--keep", "2"})
                  .code,
              128 + signal);
    // One more where the process was killed between writing the newest and removing the oldest.
    EXPECT_THAT(states(name).size(), testing::AnyOf(2u, 3u));
    const Outcome outcome = resume(name);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("resume  " + name + "/states/step-"));
    EXPECT_TRUE(bytes(name + "/model.ckpt") == bytes("whole/model.ckpt"));
    EXPECT_TRUE(bytes(name + "/best.ckpt") == bytes("whole/best.ckpt"));
    EXPECT_EQ(resume(name).code, 0) << "it has finished";
    EXPECT_TRUE(bytes(name + "/model.ckpt") == bytes("whole/model.ckpt"));
  }
}

// What was logged behind the state that is gone on from is not logged twice.
TEST_F(ResumeTest, TheLogIsThatOfOneTraining) {
  ASSERT_EQ(train("whole").code, 0);
  ASSERT_EQ(stop("killed", SIGKILL, "Epoch [3/8], Step [5/8]", {"--save-every", "2"}).code, 128 + SIGKILL);
  ASSERT_EQ(resume("killed").code, 0);
  const auto losses = [&](const std::string& name) {
    std::vector<std::string> found;
    for (const auto& event : json_lines(bytes(name + "/log.jsonl"))) {
      if (event["event"] == "step" || event["event"] == "epoch") {
        found.push_back(event["epoch"].dump() + " " + event["step"].dump() + " " + event["loss"].dump());
      }
    }
    return found;
  };
  EXPECT_EQ(losses("killed"), losses("whole"));
  EXPECT_EQ(losses("killed").size(), 72u);
}

TEST_F(ResumeTest, GoesOnFromItsBeginningIfNothingWasSaved) {
  ASSERT_EQ(train("whole").code, 0);
  ASSERT_EQ(stop("killed", SIGKILL, "Step [2/8]", {"--save-every", "0"}).code, 128 + SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "killed/states"));
  const Outcome outcome = resume("killed");
  EXPECT_THAT(outcome.out, HasSubstr("resume  from the beginning: no state was saved"));
  EXPECT_TRUE(bytes("killed/model.ckpt") == bytes("whole/model.ckpt"));
}

TEST_F(ResumeTest, WhatIsAskedOtherwiseIsNamed) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  const auto refused = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = resume("run", flags);
    EXPECT_EQ(outcome.code, kUsage) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(
      refused({"--epochs", "9", "--flip"}),
      HasSubstr("run: --epochs was 8, is 9; --flip was not given, is given: leave out what differs, or go "
                "on with --allow-changes"));
  EXPECT_THAT(refused({"--seed", "2"}), HasSubstr("--seed was 1, is 2"));
  EXPECT_THAT(refused({"--batch-size", "32"}), HasSubstr("--batch-size was 64, is 32"));
  EXPECT_THAT(refused({"--model", "lenet5", "--allow-changes"}),
              HasSubstr("--model was not given, is lenet5; it cannot change"));
  EXPECT_THAT(refused({"--out", "other"}), HasSubstr("excludes"));
  EXPECT_THAT(refused({"--init", "run/model.ckpt"}), HasSubstr("excludes"));
  // The same said again, or what changes no bit, is no difference.
  EXPECT_EQ(resume("run", {"--epochs", "8", "--lr", "1e-3", "--log-every", "4", "--keep", "1", "--validation",
                           "0", "--flip=false"})
                .code,
            0);
  EXPECT_EQ(states("run").size(), 1u);
}

TEST_F(ResumeTest, AFinishedTrainingGetsMoreEpochs) {
  ASSERT_EQ(train("run", {"--epochs", "2"}).code, 0);
  EXPECT_THAT(resume("run").err, HasSubstr("run has finished, with a test accuracy of"));
  EXPECT_EQ(resume("run", {"--epochs", "3", "--allow-changes"}).code, 0);
  EXPECT_THAT(states("run"), ElementsAre("step-00000016.ckpt", "step-00000024.ckpt"));
  EXPECT_THAT(resume("run", {"--epochs", "1", "--allow-changes"}).err,
              HasSubstr("run is in epoch 3 already, --epochs is 1"));
}

// The average of the last weights is that of the new end, though the training was killed before any state of
// it.
TEST_F(ResumeTest, ATrainingOfAnotherLengthMayBeKilledAsWell) {
  ASSERT_EQ(train("whole", {"--epochs", "2"}).code, 0);
  std::filesystem::copy(folder_ / "whole", folder_ / "killed", std::filesystem::copy_options::recursive);
  ASSERT_EQ(resume("whole", {"--epochs", "4", "--allow-changes"}).code, 0);
  EXPECT_EQ(
      run_and_signal({"train", "--resume", "killed", "--epochs", "4", "--allow-changes", "--save-every", "0"},
                     {folder_.path()}, "Epoch [3/4], Step [2/8]", SIGKILL)
          .code,
      128 + SIGKILL);
  ASSERT_EQ(resume("killed").code, 0);
  EXPECT_TRUE(bytes("killed/model.ckpt") == bytes("whole/model.ckpt"));
}

// Where the state of the last epoch is gone on from, nothing is trained any more.
TEST_F(ResumeTest, TheLastEpochsFiguresSurvive) {
  ASSERT_EQ(train("run", {"--epochs", "2"}).code, 0);
  const auto results = nlohmann::json::parse(bytes("run/run.json"))["results"];
  auto record = nlohmann::json::parse(bytes("run/run.json"));
  record.erase("results");
  write_file(folder_ / "run/run.json", record.dump());
  ASSERT_EQ(resume("run").code, 0);
  const auto again = nlohmann::json::parse(bytes("run/run.json"))["results"];
  for (const char* name : {"loss", "accuracy", "train_loss", "train_accuracy", "images_per_second"}) {
    EXPECT_EQ(again[name], results[name]) << name;
  }
}

TEST_F(ResumeTest, EachDigitOfASeedCounts) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]", {"--seed", "9007199254740993"}).code, 128 + SIGINT);
  EXPECT_THAT(resume("run", {"--seed", "9007199254740992"}).err,
              HasSubstr("--seed was 9007199254740993, is 9007199254740992"));
}

TEST_F(ResumeTest, AnotherOptimizerHasNoneOfTheFirstOnesFlags) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]", {"--optimizer", "sgd", "--momentum", "0.9"}).code,
            128 + SIGINT);
  const Outcome outcome = resume("run", {"--optimizer", "adam", "--allow-changes"});
  EXPECT_THAT(outcome.err, HasSubstr("the snapshot")) << "its moments are not Adam's";
  EXPECT_EQ(outcome.code, kFailed);
}

TEST_F(ResumeTest, AFlagRulesOutWhatItExcludes) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]", {"--transpose"}).code, 128 + SIGINT);
  ASSERT_EQ(resume("run", {"--no-transpose", "--allow-changes"}).code, 0);
  const auto record = nlohmann::json::parse(bytes("run/run.json"));
  EXPECT_EQ(record["preparation"]["transposed"], false);
  EXPECT_FALSE(record["flags"].contains("--transpose"));
}

TEST_F(ResumeTest, OtherBatchesBeginTheEpochAnew) {
  ASSERT_EQ(stop("run", SIGINT, "Epoch [2/8], Step [3/8]").code, 128 + SIGINT);
  const Outcome outcome = resume("run", {"--batch-size", "50", "--allow-changes"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Epoch [2/8], Step [1/10]"));
}

TEST_F(ResumeTest, OtherDataAreRefused) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  write_idx_data(folder_ / "digits", {.train = 501, .extent = 28});
  const Outcome outcome = resume("run");
  EXPECT_EQ(outcome.code, kUsage);
  EXPECT_THAT(outcome.err, HasSubstr("/digits are not those of run: their checksum is another"));
  // Also where no state was saved.
  std::filesystem::remove_all(folder_ / "run/states");
  EXPECT_THAT(resume("run").err, HasSubstr("their checksum is another"));
  std::filesystem::remove_all(folder_ / "digits");
  EXPECT_EQ(resume("run").code, kFailed);
}

TEST_F(ResumeTest, GoesOnFromAnotherWorkingFolder) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  std::filesystem::create_directory(folder_ / "elsewhere");
  const Outcome outcome = run({"train", "--resume", "../run"}, {folder_ / "elsewhere"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(ResumeTest, ADamagedStateIsNamedAndPassedOver) {
  ASSERT_EQ(train("whole").code, 0);
  ASSERT_EQ(stop("run", SIGINT, "Epoch [3/8], Step [2/8]").code, 128 + SIGINT);
  const auto before = states("run");
  ASSERT_EQ(before.size(), 2u);
  const std::filesystem::path newest = folder_ / "run/states" / before.back();
  const std::string good = read_file(newest);
  write_file(newest, good.substr(0, good.size() / 2));
  const Outcome outcome = resume("run");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(before.back()), HasSubstr("it is passed over")));
  EXPECT_THAT(outcome.out, HasSubstr(before.front()));
  EXPECT_TRUE(bytes("run/model.ckpt") == bytes("whole/model.ckpt"));

  EXPECT_THAT(states("run"), testing::Contains(before.back() + ".damaged")) << "it is left to be looked at";

  std::filesystem::remove(folder_ / "run/states" / (before.back() + ".damaged"));
  for (const std::string& state : states("run")) write_file(folder_ / "run/states" / state, "damaged");
  std::filesystem::remove(folder_ / "run/model.ckpt");
  const Outcome none = resume("run", {"--allow-changes"});
  EXPECT_EQ(none.code, kFailed);
  EXPECT_THAT(none.err,
              HasSubstr("none of its 2 states can be read; begin anew without --resume, with --overwrite"));
}

// A damaged state of a high number does not push out what is written after it.
TEST_F(ResumeTest, WhatWasJustSavedStays) {
  ASSERT_EQ(stop("run", SIGINT, "Epoch [3/8], Step [2/8]").code, 128 + SIGINT);
  write_file(folder_ / "run/states" / states("run").back(), "damaged");
  const Outcome outcome =
      run_and_signal({"train", "--resume", "run", "--keep", "1"}, {folder_.path()}, "Step [1/8]", SIGTERM);
  EXPECT_EQ(outcome.code, 128 + SIGTERM);
  EXPECT_EQ(resume("run").code, 0);
}

TEST_F(ResumeTest, WhatIsNoTrainingIsSaid) {
  EXPECT_THAT(resume("missing").err, HasSubstr("--resume missing: there is no such folder"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "missing"));
  EXPECT_THAT(resume("digits").err, HasSubstr("--resume digits: it holds no training: there is no run.json"));
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  write_file(folder_ / "run/run.json", "{}");
  EXPECT_THAT(resume("run").err, HasSubstr("run/run.json: it lacks what it takes to go on"));
}

TEST_F(ResumeTest, OneProcessAtATimeInAFolder) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  {
    std::ofstream lock(folder_ / "run/.lock");
    lock << "process 4711 on another\n";
  }
  const int descriptor = open((folder_ / "run/.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(descriptor, LOCK_EX), 0);
  for (const Outcome& outcome : {resume("run"), train("run", {"--overwrite"})}) {
    EXPECT_EQ(outcome.code, kFailed);
    EXPECT_EQ(outcome.err,
              "convoy: error: run: another training writes to this folder: process 4711 on another; "
              "wait until it ends\n");
  }
  close(descriptor);  // as when the process ends, however it does
  EXPECT_EQ(resume("run").code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/.lock"));
}

// Between putting a finished model aside and beginning what replaces it.
TEST_F(ResumeTest, AReplacementThatWasKilledIsUndone) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).code, 0);
  const std::string model = bytes("run/model.ckpt");
  for (const auto& [aside, moved] :
       {std::pair<std::string, std::vector<std::string>>{".previous", {"model.ckpt"}},
        {"previous", {"model.ckpt", "model.json", "run.json", "log.jsonl", "states"}}}) {
    std::filesystem::create_directory(folder_ / "run" / aside);
    for (const std::string& name : moved) {
      std::filesystem::rename(folder_ / "run" / name, folder_ / "run" / aside / name);
    }
    EXPECT_THAT(resume("run").err, HasSubstr("run has finished"));
    EXPECT_TRUE(bytes("run/model.ckpt") == model);
    EXPECT_THAT(train("run", {"--epochs", "1"}).err, HasSubstr("run/model.ckpt is a finished model"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / aside));
  }
}

// Killed in its first epoch, a training has no state, but perhaps hours of work, and a best model.
TEST_F(ResumeTest, WhatHasNoStateIsNotReplacedUnasked) {
  ASSERT_EQ(stop("run", SIGKILL, "Epoch [2/8], Step [2/",
                 {"--save-every", "0", "--validation", "50", "--keep-best"})
                .code,
            128 + SIGKILL);
  const std::string best = bytes("run/best.ckpt");
  const Outcome refused = train("run", {"--seed", "4"});
  EXPECT_EQ(refused.code, kUsage);
  EXPECT_THAT(refused.err, HasSubstr("run holds a training that did not end; go on with it by --resume run"));
  EXPECT_TRUE(bytes("run/best.ckpt") == best);
}

// A profile is of one call.
TEST_F(ResumeTest, AProfiledTrainingGoesOnWithoutAProfile) {
  ASSERT_EQ(stop("run", SIGINT, "Epoch [2/8], Step [6/8]", {"--profile", "3"}).code, 128 + SIGINT);
  EXPECT_EQ(resume("run").code, 0);
}

// A killed process leaves what it had half written.
TEST_F(ResumeTest, HalfWrittenFilesAreRemoved) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  write_file(folder_ / "run/.convoy-1-0.tmp", "half");
  write_file(folder_ / "run/states/.convoy-1-1.tmp", "half");
  ASSERT_EQ(resume("run").code, 0);
  EXPECT_THAT(files_under(folder_ / "run"), Not(testing::Contains(HasSubstr(".tmp"))));
}

TEST_F(ResumeTest, StatesAreKeptAsAsked) {
  ASSERT_EQ(train("all", {"--epochs", "2", "--save-every", "5", "--keep", "0"}).code, 0);
  EXPECT_THAT(states("all"), ElementsAre("step-00000005.ckpt", "step-00000010.ckpt", "step-00000015.ckpt"));
  ASSERT_EQ(train("epochs", {"--epochs", "4", "--save-every", "2epochs", "--keep", "9"}).code, 0);
  EXPECT_THAT(states("epochs"), ElementsAre("step-00000016.ckpt", "step-00000032.ckpt"));
  ASSERT_EQ(train("none", {"--epochs", "1", "--save-every", "0"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none/states"));
  for (const char* wrong : {"x", "-1", "5 apples", "epochs", "99999999999999999999"}) {
    const Outcome outcome = train("wrong", {"--save-every", wrong});
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_THAT(outcome.err, HasSubstr("is not a number of steps or epochs, as 500, 500steps or 2epochs"));
  }
  EXPECT_THAT(train("best", {"--keep-best"}).err, HasSubstr("--keep-best needs --validation N"));
  EXPECT_THAT(train("held", {"--validation", "500"}).err,
              HasSubstr("--validation 500 leaves none of the 500 training images"));
}

// The accuracy that decides is told after each epoch; the best model is one of them.
TEST_F(ResumeTest, TheBestModelIsKept) {
  ASSERT_EQ(train("run", {"--epochs", "3", "--validation", "100", "--keep-best", "--settle", "0"}).code, 0);
  double best = 0.0;
  int told = 0;
  for (const auto& event : json_lines(bytes("run/log.jsonl"))) {
    if (event["event"] != "validation") continue;
    best = std::max(best, event["accuracy"].get<double>());
    EXPECT_EQ(event["samples"], 100);
    ++told;
  }
  EXPECT_EQ(told, 3);
  EXPECT_EQ(load_checkpoint(folder_ / "run/best.ckpt").size(), 16u);
  EXPECT_GT(best, 0.0);
}

}  // namespace
}  // namespace convoy::test
