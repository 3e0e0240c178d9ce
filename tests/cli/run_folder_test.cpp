// What a training keeps in its folder, and what becomes of that where processes are killed and files damaged.
#include <sys/file.h>

#include <fstream>

#include "convoy/checkpoint.h"
#include "tests/cli/resume_fixture.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using RunFolderTest = TrainingThatStops;

TEST_F(RunFolderTest, ADamagedStateIsNamedAndPassedOver) {
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
TEST_F(RunFolderTest, WhatWasJustSavedStays) {
  ASSERT_EQ(stop("run", SIGINT, "Epoch [3/8], Step [2/8]").code, 128 + SIGINT);
  write_file(folder_ / "run/states" / states("run").back(), "damaged");
  const Outcome outcome =
      run_and_signal({"train", "--resume", "run", "--keep", "1"}, {folder_.path()}, "Step [1/8]", SIGTERM);
  EXPECT_EQ(outcome.code, 128 + SIGTERM);
  EXPECT_EQ(resume("run").code, 0);
}

TEST_F(RunFolderTest, WhatIsNoTrainingIsSaid) {
  EXPECT_THAT(resume("missing").err, HasSubstr("--resume missing: there is no such folder"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "missing"));
  EXPECT_THAT(resume("digits").err, HasSubstr("--resume digits: it holds no training: there is no run.json"));
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  write_file(folder_ / "run/run.json", "{}");
  EXPECT_THAT(resume("run").err, HasSubstr("run/run.json: it lacks what it takes to go on"));
}

TEST_F(RunFolderTest, OneProcessAtATimeInAFolder) {
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
TEST_F(RunFolderTest, AReplacementThatWasKilledIsUndone) {
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
TEST_F(RunFolderTest, WhatHasNoStateIsNotReplacedUnasked) {
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

// Without a run.json beside it, nothing there is of a training.
TEST_F(RunFolderTest, WhatIsReadIsNotReplacedUnasked) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).code, 0);
  std::filesystem::create_directory(folder_ / "m");
  std::filesystem::copy(folder_ / "run/model.json", folder_ / "m/model.json");
  write_file(folder_ / "m/config.toml", "# mine\nepochs = 1\n");
  const std::string model = bytes("m/model.json"), config = bytes("m/config.toml");
  const auto before = files_under(folder_.path());
  const auto refused = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = train("m", flags);
    EXPECT_EQ(outcome.code, kUsage) << outcome.out;
    EXPECT_EQ(bytes("m/model.json"), model);
    EXPECT_EQ(bytes("m/config.toml"), config);
    EXPECT_EQ(files_under(folder_.path()), before);
    return outcome.err;
  };
  const std::string remedy =
      ", and the training would replace it; name another folder with --out, or replace it with --overwrite\n";
  EXPECT_EQ(refused({"--model", "m/model.json"}), "convoy: error: m/model.json is the model's file" + remedy);
  EXPECT_EQ(refused({"--config", "m/config.toml"}),
            "convoy: error: m/config.toml is what --config names" + remedy);

  EXPECT_EQ(train("m", {"--epochs", "1", "--model", "m/model.json", "--overwrite"}).code, 0);
  EXPECT_TRUE(bytes("m/model.ckpt") == bytes("run/model.ckpt"));
  EXPECT_EQ(train("tuned", {"--epochs", "1", "--init", "m/model.ckpt", "--model", "m/model.json"}).code, 0);
}

TEST_F(RunFolderTest, ManySeedsReplaceNothingThatIsReadEither) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).code, 0);
  std::filesystem::create_directories(folder_ / "all/2");
  std::filesystem::copy(folder_ / "run/model.json", folder_ / "all/2/model.json");
  const Outcome outcome = train("all", {"--seeds", "1-2", "--model", "all/2/model.json"});
  EXPECT_EQ(outcome.code, kUsage);
  EXPECT_THAT(outcome.err, HasSubstr("all/2/model.json is the model's file, and the training would replace"));
  EXPECT_THAT(files_under(folder_ / "all"), ElementsAre("2", "2/model.json"));
}

// A profile is of one call.
TEST_F(RunFolderTest, AProfiledTrainingGoesOnWithoutAProfile) {
  ASSERT_EQ(stop("run", SIGINT, "Epoch [2/8], Step [6/8]", {"--profile", "3"}).code, 128 + SIGINT);
  EXPECT_EQ(resume("run").code, 0);
}

// A killed process leaves what it had half written.
TEST_F(RunFolderTest, HalfWrittenFilesAreRemoved) {
  ASSERT_EQ(stop("run", SIGINT, "Step [2/8]").code, 128 + SIGINT);
  write_file(folder_ / "run/.convoy-1-0.tmp", "half");
  write_file(folder_ / "run/states/.convoy-1-1.tmp", "half");
  ASSERT_EQ(resume("run").code, 0);
  EXPECT_THAT(files_under(folder_ / "run"), Not(testing::Contains(HasSubstr(".tmp"))));
}

TEST_F(RunFolderTest, StatesAreKeptAsAsked) {
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
TEST_F(RunFolderTest, TheBestModelIsKept) {
  ASSERT_EQ(train("run", {"--epochs", "3", "--validation", "100", "--keep-best"}).code, 0);
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
