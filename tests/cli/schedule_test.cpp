// convoy train --schedule: what its flags do, and what they refuse.
#include <cmath>
#include <numbers>

#include "tests/cli/bad_input.h"

namespace convoy::test {
namespace {

using testing::Not;
using testing::Pointwise;

/// A training of five steps an epoch.
class ScheduleTest : public BadInputTest {
 protected:
  Outcome train_with(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train",  "--dataset", "idx", "--data",
                                          "digits", "--out",     "run", "--overwrite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path()});
  }

  /// The learning rate of every step of `epochs` epochs, as log.jsonl has them.
  std::vector<double> rates(int epochs, std::vector<std::string> more) {
    more.insert(more.end(), {"--epochs", std::to_string(epochs), "--log-every", "1"});
    const Outcome outcome = train_with(more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::vector<double> found;
    double last = 0.0;
    for (const auto& event : json_lines(read_file(folder_ / "run/log.jsonl"))) {
      if (event["event"] == "step") found.push_back(last = event["learning_rate"]);
      if (event["event"] == "epoch") {
        EXPECT_EQ(event["learning_rate"].get<double>(), last);
      }
    }
    return found;
  }
};

// The rate is a float.
auto are(const std::vector<double>& expected) { return Pointwise(testing::DoubleNear(1e-9), expected); }

TEST_F(ScheduleTest, RatesAreThoseOfTheirFlags) {
  EXPECT_THAT(rates(1, {}), are({1e-3, 1e-3, 1e-3, 1e-3, 1e-3}));
  EXPECT_THAT(rates(1, {"--schedule", "linear", "--lr-end", "5e-4"}), are({1e-3, 9e-4, 8e-4, 7e-4, 6e-4}));
  EXPECT_THAT(rates(2, {"--schedule", "linear", "--schedule-by", "epochs"}),
              are({1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4, 5e-4, 5e-4}));
  EXPECT_THAT(rates(2, {"--schedule", "step", "--lr-step", "1"}),
              are({1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4}));
  EXPECT_THAT(rates(1, {"--schedule", "multi-step", "--lr-milestones", "1,3", "--schedule-by", "steps",
                        "--lr-gamma", "0.5"}),
              are({1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4}));
  EXPECT_THAT(rates(1, {"--schedule", "exponential", "--lr-gamma", "0.5", "--schedule-by", "steps"}),
              are({1e-3, 5e-4, 2.5e-4, 1.25e-4, 6.25e-5}));
  EXPECT_THAT(rates(1, {"--warmup", "2", "--warmup-factor", "0.5"}), are({5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3}));
  EXPECT_THAT(rates(2, {"--warmup", "1 epoch", "--warmup-factor", "0.5", "--schedule", "linear"}),
              are({5e-4, 6e-4, 7e-4, 8e-4, 9e-4, 1e-3, 8e-4, 6e-4, 4e-4, 2e-4}));
  std::vector<double> cosine;
  for (int step = 0; step < 5; ++step) cosine.push_back(5e-4 * (1 + std::cos(std::numbers::pi * step / 5)));
  EXPECT_THAT(rates(1, {"--schedule", "cosine"}), are(cosine));
  // 0.6 * 5 - 1 counts up, and two down.
  EXPECT_THAT(rates(1, {"--schedule", "one-cycle", "--pct-start", "0.6", "--anneal", "linear", "--div-factor",
                        "10", "--final-div-factor", "10"}),
              are({1e-4, 5.5e-4, 1e-3, 5.05e-4, 1e-5}));
}

TEST_F(ScheduleTest, IsRecordedAndShown) {
  Outcome outcome = train_with({"--epochs", "1"});
  EXPECT_THAT(outcome.out, Not(testing::HasSubstr("rate    ")));
  EXPECT_EQ(nlohmann::json::parse(read_file(folder_ / "run/run.json"))["schedule"], "constant");
  outcome = train_with({"--epochs", "1", "--schedule", "step", "--lr-step", "3"});
  EXPECT_THAT(outcome.out,
              testing::HasSubstr("rate    0.001, then by StepLR(step_size=3, gamma=0.1) by epochs\n"));
  EXPECT_EQ(nlohmann::json::parse(read_file(folder_ / "run/run.json"))["schedule"],
            "StepLR(step_size=3, gamma=0.1) by epochs");
}

TEST_F(ScheduleTest, FlagsOfAnotherScheduleAreRefused) {
  const auto refused = [&](const std::vector<std::string>& flags, const std::string& reason) {
    expect_train_refused(flags, kUsage, reason);
  };
  refused({"--schedule", "warm"}, "warm");
  refused({"--lr-end", "0"}, "--lr-end is for --schedule linear or cosine, not constant");
  refused({"--schedule", "cosine", "--lr-gamma", "0.5"}, "--lr-gamma is for --schedule step or multi-step");
  refused({"--schedule", "cosine", "--no-cycle-momentum"}, "--no-cycle-momentum is for --schedule one-cycle");
  refused({"--schedule", "step", "--lr-step", "3", "--pct-start", "0.5"},
          "--pct-start is for --schedule one-cycle");
  refused({"--schedule-by", "epochs"}, "--schedule-by is for --schedule linear");
  refused({"--schedule", "step"}, "--schedule step needs --lr-step N");
  refused({"--schedule", "multi-step"}, "--schedule multi-step needs --lr-milestones");
  refused({"--schedule", "exponential"}, "--schedule exponential needs --lr-gamma");
  refused({"--warmup-factor", "0.5"}, "--warmup-factor needs --warmup");
  refused({"--warmup", "fast"}, "'fast' is not a number of steps or epochs");
  refused({"--warmup", "3 minutes"}, "'3 minutes' is not a number of steps or epochs");
  refused({"--warmup", "3", "--schedule", "one-cycle"}, "leave --warmup out");
}

TEST_F(ScheduleTest, ParametersThatCannotBeAreRefused) {
  const auto refused = [&](const std::vector<std::string>& flags, const std::string& reason) {
    expect_train_refused(flags, kUsage, reason);
  };
  refused({"--schedule", "linear", "--lr-end", "0.01"}, "--lr-end 0.01 is above the --lr");
  refused({"--schedule", "linear", "--lr-end", "nan"}, "end_factor");
  refused({"--schedule", "cosine", "--lr-end", "-1"}, "eta_min -1");
  refused({"--schedule", "step", "--lr-step", "0"}, "--lr-step");
  refused({"--schedule", "multi-step", "--lr-milestones", "3,2"}, "not in ascending order");
  refused({"--schedule", "multi-step", "--lr-milestones", "3,x"}, "--lr-milestones");
  refused({"--schedule", "exponential", "--lr-gamma", "0"}, "--lr-gamma");
  refused({"--schedule", "one-cycle", "--pct-start", "2"}, "pct_start 2 is not from 0 to 1");
  refused({"--schedule", "one-cycle", "--div-factor", "0"}, "div_factor 0");
  refused({"--schedule", "one-cycle", "--no-cycle-momentum", "--max-momentum", "0.9"}, "without use");
  refused({"--schedule", "one-cycle", "--optimizer", "sgd"}, "this SGD has none");
  refused({"--warmup", "3", "--warmup-factor", "0"}, "start_factor 0");
  // Before anything is written.
  refused({"--schedule", "one-cycle", "--schedule-length", "4"}, "after step 4, and the training has 5");
  refused({"--schedule", "cosine", "--warmup", "5"}, "begins behind 5 steps and the training has 5");
}

}  // namespace
}  // namespace convoy::test
