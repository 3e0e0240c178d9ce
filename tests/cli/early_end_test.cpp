// Trainings that end before their last epoch: --patience, --stop-at, --test-every.
#include <fmt/format.h>

#include <algorithm>

#include "tests/cli/resume_fixture.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Events = std::vector<nlohmann::json>;

Events events_of(const std::string& kind, const std::string& text) {
  Events found;
  for (const auto& event : json_lines(text)) {
    if (event["event"] == kind) found.push_back(event);
  }
  return found;
}

class EarlyEndTest : public TrainingThatStops {
 protected:
  Events log(const std::string& run, const std::string& kind) const {
    return events_of(kind, bytes(run + "/log.jsonl"));
  }
  nlohmann::json results(const std::string& run) const {
    return nlohmann::json::parse(bytes(run + "/run.json"))["results"];
  }
};

// The made-up digits are learnt to the last in a few epochs: then nothing becomes better.
TEST_F(EarlyEndTest, PatienceEndsBehindTheLastEpochThatWasNoBetter) {
  const Outcome outcome =
      train("run", {"--validation", "100", "--keep-best", "--patience", "2", "--epochs", "40"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Events validations = log("run", "validation");
  ASSERT_LT(validations.size(), 40u);
  const auto better = [](const auto& a, const auto& b) { return a["accuracy"] < b["accuracy"]; };
  const auto best = std::ranges::max_element(validations, better);  // the first of the best
  EXPECT_EQ(validations.end() - best, 3) << "two epochs behind the best";
  EXPECT_EQ(results("run")["ended"], "patience");
  EXPECT_EQ(results("run")["images"], 400 * validations.size());
  EXPECT_THAT(outcome.out,
              HasSubstr("Ended early: --patience 2: the best accuracy on the images held out is epoch "));
  ASSERT_EQ(log("run", "ended").size(), 1u);
  EXPECT_EQ(log("run", "ended")[0]["by"], "patience");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/best.ckpt"));
  EXPECT_THAT(states("run"), testing::Contains(fmt::format("step-{:08}.ckpt", 7 * validations.size())));
}

TEST_F(EarlyEndTest, StopAtEndsWhereATestReachesIt) {
  const Outcome outcome = train("run", {"--stop-at", "90", "--test-every", "3", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Events tests = events_of("test", outcome.out);
  ASSERT_FALSE(tests.empty());
  for (const auto& test : tests) {
    EXPECT_EQ(test["accuracy"] >= 0.9, test == tests.back());
    const int done = 8 * (test["epoch"].get<int>() - 1) + test["step"].get<int>();
    EXPECT_TRUE(done % 3 == 0 || done % 8 == 0) << done;
    EXPECT_GT(test["seconds"], 0.0);
  }
  const auto ran = results("run");
  EXPECT_EQ(ran["ended"], "stop-at");
  EXPECT_GE(ran["training_seconds"], tests.back()["training_seconds"]);
  double seconds = 0.0;
  for (const auto& test : tests) seconds += test["seconds"].get<double>();
  EXPECT_NEAR(ran["evaluation_seconds"].get<double>(), seconds, 1e-9);
  EXPECT_GE(ran["seconds"].get<double>(), ran["training_seconds"].get<double>() + seconds);
  const int epoch = tests.back()["epoch"], step = tests.back()["step"];
  EXPECT_EQ(ran["images"], 500 * (epoch - 1) + std::min(64 * step, 500));
  EXPECT_THAT(bytes("run/log.jsonl"), HasSubstr(R"("why":"the test accuracy of )"));
}

TEST_F(EarlyEndTest, WhatIsNotReachedEndsWithTheEpochs) {
  const Outcome outcome = train("run", {"--stop-at", "100", "--limit-train", "64", "--epochs", "2"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(results("run")["ended"], "epochs");
  EXPECT_EQ(log("run", "test").size(), 2u);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("Epoch [2/2], Step [1/1]: test accuracy "), Not(HasSubstr("Ended early"))));
}

TEST_F(EarlyEndTest, TestsChangeNoBit) {
  ASSERT_EQ(train("plain", {"--epochs", "2"}).code, 0);
  ASSERT_EQ(train("tested", {"--epochs", "2", "--test-every", "3"}).code, 0);
  EXPECT_TRUE(bytes("plain/model.ckpt") == bytes("tested/model.ckpt"));
  EXPECT_EQ(log("tested", "test").size(), 7u) << "behind steps 3, 6, 8, 9, 12, 15 and 16";
}

// However often it is stopped it ends at the same step, and a training that had ended stays so.
TEST_F(EarlyEndTest, SurvivesBeingInterrupted) {
  const std::vector<std::string> flags = {"--validation", "100", "--patience",   "2",
                                          "--epochs",     "40",  "--save-every", "2"};
  ASSERT_EQ(train("whole", flags).code, 0);
  const std::size_t epochs = log("whole", "epoch").size();
  const std::string late = fmt::format("Epoch [{}/40], Step [3/7]", epochs);
  for (const auto& [signal, at] :
       {std::pair(SIGINT, std::string("Epoch [3/40], Step [2/7]")), std::pair(SIGKILL, late)}) {
    const std::string name = signal == SIGINT ? "stopped" : "killed";
    ASSERT_EQ(stop(name, signal, at, flags).code, 128 + signal);
    ASSERT_EQ(resume(name).code, 0);
    EXPECT_TRUE(bytes(name + "/model.ckpt") == bytes("whole/model.ckpt")) << name;
    EXPECT_EQ(log(name, "epoch").size(), epochs);
    EXPECT_EQ(log(name, "ended").size(), 1u);
  }
  // Killed behind its end, before the model was written.
  std::filesystem::remove(folder_ / "killed/model.ckpt");
  ASSERT_EQ(resume("killed").code, 0);
  EXPECT_TRUE(bytes("killed/model.ckpt") == bytes("whole/model.ckpt"));
  // Other flags let it go on.
  ASSERT_EQ(
      resume("killed", {"--patience", "0", "--epochs", std::to_string(epochs + 1), "--allow-changes"}).code,
      0);
  EXPECT_EQ(log("killed", "epoch").size(), epochs + 1);
}

// Within an epoch, too: no state is of the step that ended it but without what the epoch came to.
TEST_F(EarlyEndTest, WhatEndedWithinAnEpochStaysSo) {
  const std::vector<std::string> flags = {"--validation", "100", "--keep-best",  "--stop-at", "60",
                                          "--test-every", "2",   "--save-every", "2"};
  ASSERT_EQ(train("whole", flags).code, 0);
  const auto whole = results("whole");
  ASSERT_EQ(whole["ended"], "stop-at");
  ASSERT_NE(whole["images"].get<int>() % 400, 0) << "it ends within an epoch";
  const std::string best = bytes("whole/best.ckpt"), model = bytes("whole/model.ckpt");
  const std::size_t epochs = log("whole", "epoch").size();
  // As if killed behind the end, before the model was written.
  std::filesystem::remove(folder_ / "whole/model.ckpt");
  ASSERT_EQ(resume("whole").code, 0);
  for (const char* key : {"images", "train_loss", "train_accuracy", "accuracy", "loss", "ended"}) {
    EXPECT_EQ(results("whole")[key], whole[key]) << key;
  }
  EXPECT_EQ(log("whole", "epoch").size(), epochs);
  EXPECT_TRUE(bytes("whole/best.ckpt") == best);
  EXPECT_TRUE(bytes("whole/model.ckpt") == model);
}

TEST_F(EarlyEndTest, WhatCannotBeIsOneClearLine) {
  const auto refused = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = train("run", flags);
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_EQ(lines(outcome.err).size(), 1u);
    return outcome.err;
  };
  EXPECT_THAT(refused({"--patience", "3"}), HasSubstr("--patience needs --validation N"));
  EXPECT_THAT(refused({"--patience", "-1"}), HasSubstr("'-1' is not a whole number of at least 0"));
  EXPECT_THAT(refused({"--stop-at", "101"}), HasSubstr("'101' is not a percentage, as 99 or 99.5"));
  EXPECT_THAT(refused({"--stop-at", "0"}), HasSubstr("is not a percentage"));
  EXPECT_THAT(refused({"--test-every", "x"}), HasSubstr("'x' is not a whole number"));
}

}  // namespace
}  // namespace convoy::test
