// Several processes, each with a software GPU: started by a real mpirun, or as torchrun starts them.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "tests/paths.h"
#include "tests/software_gpu/support.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class GroupOnGpus : public GpuProgram {
 protected:
  void SetUp() override {
    GpuProgram::SetUp();
    // Without batch norm, so that the losses are those of one process.
    write_file(folder_ / "plain.json", R"({"name": "plain", "input": [1, 8, 8], "layers": [
      {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "padding": 1},
      {"name": "relu", "type": "ReLU"},
      {"name": "pool", "type": "MaxPool2d", "kernel_size": 2},
      {"name": "flatten", "type": "Flatten"},
      {"name": "drop", "type": "Dropout"},
      {"name": "fc", "type": "Linear", "in_features": 64, "out_features": 10}]})");
  }

  static std::string convoy() { return path_of("CONVOY_PROGRAM", "../../convoy").string(); }

  static std::vector<std::string> words(std::int64_t batch, const std::vector<std::string>& more) {
    std::vector<std::string> all = {convoy(),      "train",       "--device",     "cuda",
                                    "--precision", "fp32",        "--dataset",    "idx",
                                    "--data",      "digits",      "--model",      "plain.json",
                                    "--epochs",    "2",           "--optimizer",  "sgd",
                                    "--lr",        "0.05",        "--log-every",  "1",
                                    "--json",      "--overwrite", "--shift",      "1",
                                    "--out",       "run",         "--batch-size", std::to_string(batch)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  Outcome mpirun(int processes, const std::vector<std::string>& command,
                 std::map<std::string, std::string> environment = {}) const {
    std::vector<std::string> all = {"--oversubscribe", "-n", std::to_string(processes)};
    all.insert(all.end(), command.begin(), command.end());
    environment.insert({{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
    return run(all, {folder_.path(), environment, MPIRUN});
  }

  /// Rank `rank` of two as torchrun starts it. `before` is a line for the shell.
  Outcome as_torchrun(int rank, const std::vector<std::string>& command,
                      const std::string& before = "true") const {
    std::string line = before + "\nexec";
    for (const std::string& word : command) line += " " + word;
    return run({"-c", line}, {folder_.path(),
                              {{"RANK", std::to_string(rank)},
                               {"WORLD_SIZE", "2"},
                               {"LOCAL_RANK", std::to_string(rank)},
                               {"MASTER_ADDR", "127.0.0.1"},
                               {"MASTER_PORT", std::to_string(20000 + getpid() % 20000)}},
                              "/bin/sh"});
  }
};

std::vector<double> losses(const Outcome& outcome) {
  std::vector<double> found;
  for (const auto& event : json_lines(outcome.out)) {
    if (event["event"] == "step" || event["event"] == "epoch") found.push_back(event["loss"]);
  }
  return found;
}

// 64 images in batches of 12: five steps and a rest of 4, which three processes share as 2, 1 and 1.
TEST_F(GroupOnGpus, LossesAreThoseOfOneProcessWithTheWholeBatch) {
  const Outcome one = mpirun(1, words(12, {}));
  ASSERT_EQ(one.code, 0) << one.err;
  const auto alone = losses(one);
  ASSERT_EQ(alone.size(), 2 * (6 + 1u));
  for (const int processes : {2, 3}) {
    SCOPED_TRACE(processes);
    const Outcome outcome = mpirun(processes, words(12 / processes, {}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto found = losses(outcome);
    ASSERT_EQ(found.size(), alone.size());
    // Sums of 12 rows in another order: 12 steps at a rate of 0.05 carry on 4 * sqrt(12) * 2^-24 each.
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], alone[i], 1e-6 * std::max(1.0, alone[i])) << i;
    EXPECT_THAT(outcome.out, HasSubstr("NCCL 2."));
  }
}

// The model with batch norm, whose statistics stay local; a rest of 1 that leaves one process without
// samples.
TEST_F(GroupOnGpus, AnIdleProcessTakesPart) {
  const Outcome outcome = mpirun(2, words(9, {"--limit-train", "19"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Outcome one = mpirun(1, words(18, {"--limit-train", "19"}));
  ASSERT_EQ(losses(outcome).size(), losses(one).size());
  for (std::size_t i = 0; i < losses(one).size(); ++i)
    EXPECT_NEAR(losses(outcome)[i], losses(one)[i], 3e-6) << i;
}

TEST_F(GroupOnGpus, ARepeatGivesTheSameBits) {
  const auto command = words(4, {"--model", "model.json"});
  ASSERT_EQ(mpirun(2, command).code, 0);
  const std::string first = read_file(folder_ / "run/model.ckpt");
  ASSERT_EQ(mpirun(2, command).code, 0);
  EXPECT_EQ(read_file(folder_ / "run/model.ckpt"), first);
}

// Steps are graph launches, and the sum is a node in them.
TEST_F(GroupOnGpus, TheSumIsPartOfTheCapturedStep) {
  const auto calls_of = [&](int processes) {
    const std::string file = (folder_ / ("trace" + std::to_string(processes))).string();
    const std::string line = "[ $OMPI_COMM_WORLD_RANK = 0 ] && export SOFTWARE_GPU_TRACE=" + file + "; exec";
    std::string all = line;
    for (const std::string& word : words(4, {"--log-every", "0"})) all += " " + word;
    const Outcome outcome = mpirun(processes, {"sh", "-c", all});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return lines(read_file(file));
  };
  const auto nodes_of = [](const std::vector<std::string>& calls) {
    std::vector<int> nodes;
    for (const std::string& call : calls) {
      if (function_of(call) != "cudaGraphInstantiate") continue;
      nodes.push_back(std::stoi(call.substr(call.find("nodes=") + 6)));
    }
    return nodes;
  };
  const auto together = calls_of(2), alone = calls_of(1);
  const auto grouped = nodes_of(together), single = nodes_of(alone);
  ASSERT_FALSE(grouped.empty());
  EXPECT_EQ(grouped.front(), single.front() + 1);
  // Those of the plain first step, of each capture, and of the host's words (mpirun's go by MPI).
  const auto sums = std::ranges::count(together, "ncclAllReduce");
  EXPECT_LE(sums, 1 + 20 + 1);
}

// The middle layer alone has 10 MB: its gradient is summed while those before it are computed, on a branch of
// the captured step that is joined before the update.
TEST_F(GroupOnGpus, LargeGradientsAreSummedInBuckets) {
  write_file(folder_ / "large.json", R"({"name": "large", "input": [1, 8, 8], "layers": [
      {"name": "flatten", "type": "Flatten"},
      {"name": "fc1", "type": "Linear", "in_features": 64, "out_features": 256},
      {"name": "relu", "type": "ReLU"},
      {"name": "fc2", "type": "Linear", "in_features": 256, "out_features": 10000},
      {"name": "fc3", "type": "Linear", "in_features": 10000, "out_features": 10}]})");
  const std::vector<std::string> more = {"--model",  "large.json", "--limit-train", "48",
                                         "--epochs", "1",          "--lr",          "0.001"};
  const Outcome one = mpirun(1, words(12, more));
  ASSERT_EQ(one.code, 0) << one.err;
  const std::string file = (folder_ / "trace").string();
  std::string line =
      "if [ $OMPI_COMM_WORLD_RANK = 0 ]; then export SOFTWARE_GPU_TRACE=" + file + "; fi; exec";
  for (const std::string& word : words(6, more)) line += " " + word;
  const Outcome outcome = mpirun(2, {"sh", "-c", line});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_EQ(losses(outcome).size(), 4u + 1);
  // Four steps at a rate of 0.001; a logit is a sum of 10000 products of about 1/100: 4 * sqrt(10000) * 2^-24
  // / 100.
  for (std::size_t i = 0; i < losses(one).size(); ++i)
    EXPECT_NEAR(losses(outcome)[i], losses(one)[i], 1e-6) << i;
  // In the plain first step, in the capture, and in the fourth step, which is timed for the report, two each.
  EXPECT_EQ(std::ranges::count(lines(read_file(file)), "ncclAllReduce"), 6);
}

TEST_F(GroupOnGpus, TorchrunsVariablesNeedNoMpi) {
  Outcome second;
  std::thread rank_1([&] { second = as_torchrun(1, words(6, {})); });
  const Outcome first = as_torchrun(0, words(6, {}));
  rank_1.join();
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.out, "") << "rank 0 alone is heard";
  const Outcome one = mpirun(1, words(12, {}));
  for (std::size_t i = 0; i < losses(one).size(); ++i)
    EXPECT_NEAR(losses(first)[i], losses(one)[i], 3e-6) << i;
}

// Nobody supervises these: the survivor finds out by NCCL.
TEST_F(GroupOnGpus, ADeadProcessEndsTheOther) {
  const auto command = words(4, {"--epochs", "100000"});
  Outcome second;
  std::thread rank_1([&] {
    second = as_torchrun(1, command,
                         "( until ls run/states/step-*.ckpt >/dev/null 2>&1; do kill -0 $$ || exit; sleep "
                         "0.02; done; kill -9 $$ ) &");
  });
  const Outcome first = as_torchrun(0, command);
  rank_1.join();
  EXPECT_EQ(second.code, 128 + 9);
  EXPECT_EQ(first.code, 1);
  EXPECT_THAT(first.err, HasSubstr("convoy: error: rank 0: "));
  EXPECT_THAT(first.err, HasSubstr("NCCL: remote process exited"));
  EXPECT_THAT(first.err, HasSubstr("another process has ended or failed"));
}

TEST_F(GroupOnGpus, WhatNcclRefusesIsOneLine) {
  for (const std::string fault : {"ncclCommInitRank:1:2", "ncclAllReduce:1:5"}) {
    const Outcome outcome = mpirun(2, words(4, {}), {{"SOFTWARE_GPU_FAIL", fault}});
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("convoy: error: rank ")) << fault;
    EXPECT_THAT(outcome.err, HasSubstr(fault.substr(0, fault.find(':')) + ": "));
  }
}

TEST_F(GroupOnGpus, SynchronisedBatchNormIsRefused) {
  const Outcome outcome = mpirun(2, words(4, {"--sync-bn"}));
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("batch norm over all processes is not built for GPUs"));
}

}  // namespace
}  // namespace convoy::test
