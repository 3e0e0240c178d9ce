// Trainings that go on, and with what.
#include "tests/cli/resume_fixture.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using ResumeTest = TrainingThatStops;

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
      HasSubstr("run: --epochs was 8, is 9; --flip was none, is random: leave out what differs, or go "
                "on with --allow-changes"));
  EXPECT_THAT(refused({"--flip", "alternating"}), HasSubstr("--flip was none, is alternating"));
  EXPECT_THAT(refused({"--seed", "2"}), HasSubstr("--seed was 1, is 2"));
  EXPECT_THAT(refused({"--batch-size", "32"}), HasSubstr("--batch-size was 64, is 32"));
  EXPECT_THAT(refused({"--model", "lenet5", "--allow-changes"}),
              HasSubstr("--model was convnet, is lenet5; it cannot change"));
  EXPECT_THAT(refused({"--out", "other"}), HasSubstr("excludes"));
  EXPECT_THAT(refused({"--init", "run/model.ckpt"}), HasSubstr("excludes"));
  // The same said again, or what changes no bit, is no difference.
  EXPECT_EQ(resume("run", {"--epochs", "8", "--lr", "1e-3", "--log-every", "4", "--keep", "1", "--validation",
                           "0", "--flip=none"})
                .code,
            0);
  EXPECT_EQ(states("run").size(), 1u);
}

// What a run.json said of it before --settle N was renamed. 50 was the default then.
TEST_F(ResumeTest, AFolderWithSettleGoesOnAsItBegan) {
  const auto of_before = [&](const std::string& run, int batches, bool given) {
    auto record = nlohmann::ordered_json::parse(bytes(run + "/run.json"));
    record.erase("swa");
    record.erase("bn_batches");
    record["flags"].erase("--swa");
    record["flags"].erase("--bn-batches");
    record["settle_batches"] = batches;
    if (given) record["flags"]["--settle"] = nlohmann::ordered_json::array({std::to_string(batches)});
    write_file(folder_ / run / "run.json", record.dump());
  };
  ASSERT_EQ(train("whole", {"--bn-batches", "3"}).code, 0);
  ASSERT_EQ(stop("run", SIGINT, "Epoch [7/8], Step [4/8]", {"--bn-batches", "3"}).code, 128 + SIGINT);
  of_before("run", 3, true);
  const Outcome outcome = resume("run");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("convoy: note: run is of an older Convoy: its --settle 3 goes on as --swa "
                        "--bn-batches 3\n"));
  EXPECT_TRUE(bytes("run/model.ckpt") == bytes("whole/model.ckpt"));

  of_before("run", 0, true);
  EXPECT_THAT(resume("run").err, HasSubstr("its --settle 0 goes on as a training without --swa"));
  of_before("run", 50, false);
  EXPECT_THAT(resume("run").err, HasSubstr("its --settle 50 goes on as --swa --bn-batches 50"));
  EXPECT_THAT(resume("run", {"--swa=false"}).err, HasSubstr("--swa was given, is not given"));
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

// What an average, a clip and two optimizers remember is in the state.
TEST_F(ResumeTest, MuonAndTheMovingAverageGoOnToTheSameBits) {
  const std::vector<std::string> flags = {"--muon",      "--ema", "0.9",     "--swa=false",
                                          "--clip-norm", "0.5",   "--decay", "weights"};
  ASSERT_EQ(train("whole", flags).code, 0);
  ASSERT_EQ(stop("run", SIGINT, "Epoch [2/8], Step [3/8]", flags).code, 128 + SIGINT);
  const Outcome outcome = resume("run");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(bytes("run/model.ckpt") == bytes("whole/model.ckpt"));
  EXPECT_THAT(resume("run", {"--ema", "0.5"}).err, HasSubstr("--ema was 0.9, is 0.5"));
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

// An older Convoy tells fewer versions.
TEST_F(ResumeTest, OnlyWhatBothVersionsTellIsCompared) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  auto record = nlohmann::json::parse(bytes("run/run.json"));
  ASSERT_TRUE(record["versions"].contains("compiler"));
  record["versions"] = {{"convoy", record["versions"]["convoy"]}, {"cuLess", "1"}};
  write_file(folder_ / "run/run.json", record.dump());
  std::filesystem::copy(folder_ / "run", folder_ / "other", std::filesystem::copy_options::recursive);
  const Outcome outcome = resume("run");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("its bits may differ")));
  record["versions"]["convoy"] = "0.0";
  write_file(folder_ / "other/run.json", record.dump());
  EXPECT_THAT(resume("other").err, HasSubstr("its bits may differ"));
}

TEST_F(ResumeTest, GoesOnFromAnotherWorkingFolder) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  std::filesystem::create_directory(folder_ / "elsewhere");
  const Outcome outcome = run({"train", "--resume", "../run"}, {folder_ / "elsewhere"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(ResumeTest, GoesOnInTheMiddleOfACycle) {
  const std::vector<std::string> flags = {"--schedule",   "one-cycle", "--lr",         "0.01",
                                          "--save-every", "3",         "--three-phase"};
  ASSERT_EQ(train("whole", flags).code, 0);
  ASSERT_EQ(stop("killed", SIGKILL, "Epoch [2/8], Step [3/8]", flags).code, 128 + SIGKILL);
  const Outcome outcome = resume("killed");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("OneCycleLR"));
  EXPECT_TRUE(bytes("killed/model.ckpt") == bytes("whole/model.ckpt"));
}

// The step's length would be refused.
TEST_F(ResumeTest, AnotherScheduleTakesNoFlagsOver) {
  ASSERT_EQ(train("run", {"--epochs", "1", "--schedule", "step", "--lr-step", "1"}).code, 0);
  EXPECT_THAT(resume("run", {"--epochs", "2", "--schedule", "cosine"}).err,
              HasSubstr("--schedule was step, is cosine"));
  const Outcome outcome = resume("run", {"--epochs", "2", "--schedule", "cosine", "--allow-changes"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("CosineAnnealingLR"));
}

}  // namespace
}  // namespace convoy::test
