// Many seeds on one GPU: their launches alternate, and their bits are those of single runs.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>

#include "tests/software_gpu/support.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class GpuSeeds : public GpuProgram {
 protected:
  std::string bytes(const std::string& file) const { return read_file(folder_ / file); }
};

TEST_F(GpuSeeds, HaveTheBitsOfTheirSingleRuns) {
  const std::vector<std::string> flags = {"--log-every", "4", "--validation", "8", "--test-every", "5"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), flags.begin(), flags.end());
    return train(more);
  };
  // Five by three threads: each takes the next when it is done with one.
  const Outcome outcome = with({"--seeds", "1-5", "--seeds-at-once", "3"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const std::string seed : {"1", "2", "3", "4", "5"}) {
    ASSERT_EQ(with({"--seed", seed, "--out", "single"}).code, 0);
    EXPECT_TRUE(bytes("out/" + seed + "/model.ckpt") == bytes("single/model.ckpt")) << seed;
  }
  const auto last = json_lines(outcome.out).back();
  EXPECT_EQ(last["event"], "seeds");
  EXPECT_EQ(last["training_shared"], true);
  std::vector<int> order;
  for (const auto& seed : last["seeds"]) order.push_back(seed["seed"]);
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4, 5}));
}

// One thread is the program's first, whose calls are not marked as those of another.
TEST_F(GpuSeeds, TakeTurnsBehindEveryLaunch) {
  const auto calls = trace({"--seeds", "1,2", "--epochs", "2", "--log-every", "1"});
  std::vector<bool> others;  // of each launch: whether it is the second seed's
  for (const std::string& call : calls) {
    if (function_of(call) == "cudaGraphLaunch") others.push_back(call.ends_with(" beside"));
  }
  constexpr std::ptrdiff_t kSteps =
      40;  // of the two together, which have 62 behind their first: then they end
  const auto begin = std::ranges::find(others, true);
  ASSERT_GE(others.end() - begin, kSteps);
  EXPECT_EQ(std::adjacent_find(begin, begin + kSteps), begin + kSteps);
}

// Where several share the memory, fewer of them do, and no batch has to change.
TEST_F(GpuSeeds, OutOfMemoryAdvisesFewerAtOnce) {
  const Outcome outcome = train({"--seeds", "1-2"}, {{"SOFTWARE_GPU_FAIL", "cudaMalloc:1:2"}});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("try a smaller --seeds-at-once than 2"), Not(HasSubstr("--batch-size"))));
}

TEST_F(GpuSeeds, AnInterruptSavesAllThatRun) {
  const std::vector<std::string> flags = {
      "train",      "--device",        "cuda", "--dataset", "idx", "--data",       "digits", "--model",
      "model.json", "--epochs",        "300",  "--out",     "out", "--batch-size", "4",      "--seeds",
      "1-3",        "--seeds-at-once", "2",    "--json"};
  const Outcome outcome = run_and_signal(flags, {folder_.path()}, "\"event\":\"epoch\",\"seed\":2", SIGTERM);
  EXPECT_EQ(outcome.code, 128 + SIGTERM) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("of the seeds 1-2 are saved, 3 not begun; the same command goes on with all"));
  for (const char* seed : {"1", "2"}) {
    EXPECT_FALSE(files_under(folder_ / "out" / seed / "states").empty());
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/3"));
}

// The plans of the first process, and of the others that find them.
TEST_F(GpuSeeds, OnlyTheFirstProcessOfARaceIsCold) {
  const Outcome outcome =
      run({"race", "--to", "100", "--seeds", "1-2", "--device", "cuda", "--dataset", "idx", "--data",
           "digits", "--model", "model.json", "--epochs", "1", "--batch-size", "4", "--out", "race"},
          {folder_.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto plans_of = [&](const std::string& run) {
    for (const auto& event : json_lines(bytes("race/" + run + "/log.jsonl"))) {
      if (event["event"] == "first_step") return event["plans"].get<std::string>();
    }
    return std::string("none");
  };
  EXPECT_THAT(plans_of("cold"), HasSubstr(", 0 from the cache"));
  EXPECT_THAT(plans_of("1"), AllOf(HasSubstr("0 planned"), Not(HasSubstr(", 0 from the cache"))));
  EXPECT_EQ(plans_of("2"), plans_of("1"));
  EXPECT_THAT(outcome.out, HasSubstr("Cold start, without a plan in the cache: "));
}

}  // namespace
}  // namespace convoy::test
