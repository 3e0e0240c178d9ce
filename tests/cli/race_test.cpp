// convoy race: a process for each seed, and the time from its start to an accuracy.
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

constexpr int kUsage = 2;

class RaceTest : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "model.json", tiny_model_json());
  }

  static std::vector<std::string> command(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"race",       "--dataset", "idx", "--data", "digits", "--model",
                                          "model.json", "--device",  "cpu", "--lr",   "0.01"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  Outcome race(const std::vector<std::string>& more) const { return run(command(more), {folder_.path()}); }

  TemporaryFolder folder_;
};

TEST_F(RaceTest, TellsEveryProcessAndTheirMeans) {
  const Outcome outcome = race({"--to", "60", "--seeds", "3,1", "--epochs", "20", "--test-every", "2",
                                "--batch-size", "50", "--json", "--out", "kept"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto events = json_lines(outcome.out);
  ASSERT_EQ(events.size(), 4u) << "a cold start, two seeds, and all";
  std::vector<double> seconds, images;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& run = events[i];
    EXPECT_EQ(run["event"], "race_run");
    EXPECT_EQ(run["cold"], i == 0);
    EXPECT_EQ(run["seed"], i == 2 ? 1 : 3);
    EXPECT_EQ(run["reached"], true);
    EXPECT_GE(run["accuracy"], 0.6);
    EXPECT_GT(run["start_seconds"], run["training_seconds"]);
    EXPECT_EQ(run["images"].get<int>() % 100, 0) << "two steps of 50 images";
    const std::string folder = i == 0 ? "kept/cold" : fmt::format("kept/{}", run["seed"].get<int>());
    const auto record = nlohmann::json::parse(read_file(folder_ / folder / "run.json"));
    EXPECT_EQ(record["results"]["images"], run["images"]);
    EXPECT_EQ(record["stop_at"], 60);
    EXPECT_EQ(record["learning_rate"], 0.01);
    if (i == 0) continue;
    seconds.push_back(run["start_seconds"]);
    images.push_back(run["images"]);
  }
  EXPECT_EQ(events[0]["images"], events[1]["images"]) << "the same training";
  const auto& all = events[3];
  EXPECT_EQ(all["event"], "race");
  EXPECT_EQ(all["share"], 1.0);
  EXPECT_EQ(all["cold"]["start_seconds"], events[0]["start_seconds"]);
  EXPECT_EQ(all["start_seconds"]["mean"], mean_of(seconds).mean);
  EXPECT_EQ(all["start_seconds"]["high"], mean_of(seconds).high());
  EXPECT_EQ(all["images"]["median"], median_of(images));
}

TEST_F(RaceTest, WhatIsNotReachedIsNoFigure) {
  const Outcome outcome = race({"--to", "100", "--seeds", "1-2", "--epochs", "1", "--limit-train", "100"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("seed 1, cold  not reached, ended with "), HasSubstr("seed 2  not reached"),
                    HasSubstr("0 of 2 seeds reached 100 %\n"), Not(HasSubstr("median")),
                    HasSubstr("Cold start, without a plan in the cache: not reached in ")));
  EXPECT_THAT(files_under(folder_.path()),
              ElementsAre("digits", "digits/t10k-images-idx3-ubyte", "digits/t10k-labels-idx1-ubyte",
                          "digits/train-images-idx3-ubyte", "digits/train-labels-idx1-ubyte", "model.json"));
}

TEST_F(RaceTest, AModelThatReachesItInTheEndCounts) {
  // 2 % is reached by whatever there is, but nothing is tested before the model is done: the epoch is the
  // last.
  const Outcome outcome = race({"--to", "2", "--seeds", "1", "--epochs", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("1 of 1 seeds reached 2 %\n"), HasSubstr(", 500 images\n"),
                                 Not(HasSubstr("Student's t"))));
}

TEST_F(RaceTest, WhatCannotBeIsOneClearLine) {
  const auto refused = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = race(flags);
    EXPECT_EQ(outcome.code, kUsage) << outcome.out;
    EXPECT_EQ(lines(outcome.err).size(), 1u) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refused({}), HasSubstr("--to is required"));
  EXPECT_THAT(refused({"--to", "0"}), HasSubstr("'0' is not a percentage"));
  EXPECT_THAT(refused({"--to", "99", "--seed", "3"}), HasSubstr("convoy race has no --seed"));
  EXPECT_THAT(refused({"--to", "99", "--resume=x"}), HasSubstr("convoy race has no --resume"));
  EXPECT_THAT(refused({"--to", "99", "--nonsense", "3"}), HasSubstr("--nonsense"));
  EXPECT_THAT(refused({"--to", "99", "--batch-size", "0"}),
              HasSubstr("--batch-size: '0' is not a whole number"));
  EXPECT_THAT(refused({"--to", "99", "--seeds", "2-1"}), HasSubstr("is not a list of seeds"));
}

TEST_F(RaceTest, ASignalEndsTheProcessThatRuns) {
  const Outcome outcome =
      run_and_signal(command({"--to", "100", "--seeds", "1-2", "--epochs", "1", "--limit-train", "100"}),
                     {folder_.path()}, "seed 1, cold", SIGTERM);
  EXPECT_EQ(outcome.code, 128 + SIGTERM) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("interrupted by SIGTERM in the race of seed "));
}

}  // namespace
}  // namespace convoy::test
