// After its first steps a training only launches graphs, and waits only where a loss is printed.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "tests/software_gpu/support.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class SteadyState : public GpuProgram {
 protected:
  void expect_only_launches(const std::vector<std::string>& more, int wanted);
};

// Whatever varies images and targets is done by the kernels of a plain step.
const std::vector<std::string> kVaried = {
    "--label-smoothing", "0.1",      "--flip", "alternating", "--shift", "2",       "--padding",
    "reflect",           "--cutout", "3",      "--rotate",    "20",      "--scale", "0.2"};

// What keeps the state: copies on the device and an event. Another thread reads them.
bool keeps_state(const std::string& call) {
  return call.ends_with(" beside") || call == "cudaMemcpyAsync on_device" || call == "cudaEventRecord";
}

// The calls between two losses: those of the steps, and then those of reading the loss.
std::vector<std::vector<std::string>> between_losses(const std::vector<std::string>& calls) {
  std::vector<std::vector<std::string>> intervals(1);
  for (const std::string& call : calls) {
    if (keeps_state(call)) continue;
    intervals.back().push_back(call);
    if (call == "cudaMemcpyAsync to_host") intervals.emplace_back();
  }
  return intervals;
}

void SteadyState::expect_only_launches(const std::vector<std::string>& more, int wanted) {
  // 16 steps, a loss after every fourth.
  std::vector<std::string> flags = {"--log-every", "4"};
  flags.insert(flags.end(), more.begin(), more.end());
  const auto intervals = between_losses(trace(flags));
  ASSERT_GE(intervals.size(), 5u);
  int steady = 0;
  for (std::size_t i = 1; i + 1 < intervals.size(); ++i) {
    const std::string& begin = intervals[i].at(1);
    if (function_of(begin) != "cudaGraphLaunch") continue;
    // The wait belongs to the copy of the loss before.
    std::vector<std::string> functions;
    for (const std::string& call : intervals[i]) functions.push_back(function_of(call));
    EXPECT_THAT(functions, ElementsAre("cudaStreamSynchronize", "cudaGraphLaunch", "cudaGraphLaunch",
                                       "cudaGraphLaunch", "cudaGraphLaunch", "cudaMemcpyAsync"));
    EXPECT_THAT(begin, HasSubstr(" to_device=0 to_host=0"));
    ++steady;
  }
  EXPECT_EQ(steady, wanted);
}

// Losses 2, 3 and 4; the first has the warm-up before it.
TEST_F(SteadyState, StepsAreGraphLaunchesAndNothingElse) { expect_only_launches({"--no-report"}, 3); }

TEST_F(SteadyState, AugmentedStepsAreGraphLaunchesAndNothingElse) {
  std::vector<std::string> flags = kVaried;
  flags.push_back("--no-report");
  expect_only_launches(flags, 3);
}

// For the page about the run steps 4 to 8 are timed by layer: losses 3 and 4 are as without it.
TEST_F(SteadyState, BehindTheStepsThatThePageShowsItIsTheSame) { expect_only_launches({}, 2); }

TEST_F(SteadyState, ThePageChangesNoBit) {
  std::vector<std::string> all = kVaried;
  all.insert(all.end(),
             {"--ema", "0.9", "--clip-norm", "1", "--muon", "--check-finite", "--save-every", "6"});
  for (std::vector<std::string> flags : {std::vector<std::string>(), all}) {
    SCOPED_TRACE(flags.size());
    ASSERT_EQ(train(flags).code, 0);
    const std::string with = read_file(folder_ / "out/model.ckpt");
    flags.push_back("--no-report");
    ASSERT_EQ(train(flags).code, 0);
    EXPECT_EQ(read_file(folder_ / "out/model.ckpt"), with);
  }
}

// The batch, 2 x (conv, its bias inside; batch norm + ReLU; pool) forward, fc, loss; and backward fc twice,
// 2 x (pool, batch norm + ReLU, weights) and one input gradient; Adam. The stand-in has one node a plan of
// batch norm, so what replaces it and the pool by two own kernels each way is as many here.
TEST_F(SteadyState, TheConvNetTakesNineteenLaunchesAStep) {
  for (const bool varied : {false, true}) {
    const std::string fuse = varied ? "--fuse" : "--no-fuse";
    SCOPED_TRACE(fuse);
    const std::string file = (folder_ / ("trace" + fuse)).string();
    std::vector<std::string> flags = {"--model", "convnet", "--limit-train", "12", fuse};
    if (varied) flags.insert(flags.end(), kVaried.begin(), kVaried.end());
    const Outcome outcome = train(flags, {{"SOFTWARE_GPU_TRACE", file}});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    std::vector<std::string> launches, own_pools;
    for (const std::string& call : lines(read_file(file))) {
      if (function_of(call) == "cudaGraphLaunch") launches.push_back(call);
      if (call.find("batch_norm_pool") != std::string::npos) own_pools.push_back(call);
    }
    ASSERT_FALSE(launches.empty());
    const std::size_t at = launches.front().find("launches=");
    EXPECT_EQ(std::stoi(launches.front().substr(at + 9)), 19);
    EXPECT_EQ(own_pools.empty(), fuse == "--no-fuse");
  }
}

TEST_F(SteadyState, BenchCountsWhatAStepIs) {
  const Outcome outcome = run({"bench", "--device", "cuda", "--model", "model.json", "--batch-size", "2",
                               "--steps", "40", "--dataset", "idx", "--data", "digits", "--json"},
                              {folder_.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json bench = json_lines(outcome.out).back();
  EXPECT_EQ(bench["steps_per_launch"], 20);
  EXPECT_EQ(bench["graph"]["nodes"], bench["graph"]["kernels"]) << "nothing is copied in a step";
  EXPECT_GE(bench["graph"]["kernels"], 15);
  EXPECT_GT(bench["workspace_bytes"], 0);
  EXPECT_GT(bench["device_bytes"], bench["workspace_bytes"]);
}

// 64 steps: one alone, single graphs up to the first loss, then twenty steps a launch.
TEST_F(SteadyState, ManyStepsAreOneLaunch) {
  const auto intervals = between_losses(trace({"--batch-size", "1", "--log-every", "20"}));
  std::vector<std::vector<std::string>> of_steps;  // but for the first, which has the warm-up before it
  for (std::size_t i = 1; i < intervals.size(); ++i) {
    std::vector<std::string> functions;
    for (const std::string& call : intervals[i]) functions.push_back(function_of(call));
    if (std::ranges::find(functions, "cudaGraphLaunch") != functions.end()) of_steps.push_back(functions);
  }
  ASSERT_GE(of_steps.size(), 2u);
  const std::vector<std::string>& functions =
      of_steps[1];  // the interval before this one captures the twenty
  EXPECT_THAT(functions, ElementsAre("cudaStreamSynchronize", "cudaGraphLaunch", "cudaMemcpyAsync"));
}

// What changes from step to step is computed on the device: with it a training calls every function as often
// as without, be it to capture, to launch or to wait.
TEST_F(SteadyState, AScheduleAddsNoCall) {
  const auto calls = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--batch-size", "2", "--log-every", "4", "--epochs", "2", "--no-plan-cache"});
    std::filesystem::remove(folder_ / "trace");  // it would be added to
    std::map<std::string, int> times;
    for (const std::string& call : trace(flags)) {
      if (!keeps_state(call)) ++times[function_of(call)];
    }
    return times;
  };
  std::map<std::string, int> constant = calls({});
  EXPECT_GT(constant["cudaGraphLaunch"], 40);
  EXPECT_GT(constant["cudaStreamBeginCapture"], 0);
  EXPECT_EQ(calls({"--schedule", "one-cycle"}), constant);
  EXPECT_EQ(calls({"--schedule", "cosine", "--warmup", "7"}), constant);
  EXPECT_EQ(calls({"--schedule", "step", "--lr-step", "1"}), constant);
}

// Clipping, Muon and the moving average are a part of the captured step: as many launches of graphs and waits
// as without, and as many captures.
TEST_F(SteadyState, WhatUpdatesBesideTheOptimizerAddsNoCaptureAndNoWait) {
  const std::vector<std::string> plain = {"--log-every", "4", "--no-report"};
  std::vector<std::string> all = plain;
  all.insert(all.end(),
             {"--clip-norm", "1", "--ema", "0.9", "--muon", "--muon-linear", "--decay", "weights"});
  const auto counts = [&](const std::vector<std::string>& flags) {
    std::map<std::string, int> result;
    std::filesystem::remove(folder_ / "trace");  // it would be added to
    const auto calls = trace(flags);
    const auto first = std::ranges::find_if(
        calls, [](const std::string& call) { return function_of(call) == "cudaGraphLaunch"; });
    for (auto call = first; call != calls.end(); ++call) {
      const std::string function = function_of(*call);
      if (function == "cudaGraphLaunch" || function == "cudaStreamBeginCapture" || function == "cudaMalloc" ||
          function == "cudaEventSynchronize") {
        ++result[function];
      }
    }
    return result;
  };
  EXPECT_EQ(counts(all), counts(plain));
  std::filesystem::remove(folder_ / "trace");
  const auto intervals = between_losses(trace(all));
  int steady = 0;
  for (std::size_t i = 1; i + 1 < intervals.size(); ++i) {
    if (function_of(intervals[i].at(1)) != "cudaGraphLaunch") continue;
    std::vector<std::string> functions;
    for (const std::string& call : intervals[i]) functions.push_back(function_of(call));
    EXPECT_THAT(functions, ElementsAre("cudaStreamSynchronize", "cudaGraphLaunch", "cudaGraphLaunch",
                                       "cudaGraphLaunch", "cudaGraphLaunch", "cudaMemcpyAsync"));
    ++steady;
  }
  EXPECT_EQ(steady, 3);
}

TEST_F(SteadyState, EverythingIsAllocatedBeforeTheSecondStep) {
  const auto calls = trace({});
  const auto first_launch = std::ranges::find_if(
      calls, [](const std::string& call) { return function_of(call) == "cudaGraphLaunch"; });
  const auto capture = std::ranges::find(calls, "cudaStreamBeginCapture");
  ASSERT_NE(first_launch, calls.end());
  ASSERT_LT(capture, first_launch);
  const std::set<std::string> captured(capture, first_launch);
  for (const char* forbidden : {"cudaMalloc", "cudaFree", "cudaStreamSynchronize", "cudaDeviceSynchronize"}) {
    EXPECT_FALSE(captured.contains(forbidden)) << forbidden << " while a graph is captured";
  }
}

}  // namespace
}  // namespace convoy::test
