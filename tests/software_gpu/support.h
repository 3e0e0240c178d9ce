// The program on the software GPU: what it said, and every call that it made.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {

/// A short training on made-up 8x8 images: two steps, the second of which is captured and launched as a
/// graph; then one evaluation. The model has every kind of operation that the stand-ins know.
class GpuProgram : public testing::Test {
 protected:
  void SetUp() override {
    write_idx_data(folder_ / "digits", {.train = 64, .test = 4});
    write_file(folder_ / "model.json", R"({"name": "small", "input": [1, 8, 8], "layers": [
      {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "padding": 1},
      {"name": "norm", "type": "BatchNorm2d", "num_features": 4},
      {"name": "relu", "type": "ReLU"},
      {"name": "pool", "type": "MaxPool2d", "kernel_size": 2},
      {"name": "conv2", "type": "Conv2d", "in_channels": 4, "out_channels": 3, "kernel_size": 3},
      {"name": "norm2", "type": "BatchNorm2d", "num_features": 3},
      {"name": "flatten", "type": "Flatten"},
      {"name": "fc", "type": "Linear", "in_features": 12, "out_features": 10}]})");
  }

  Outcome train(std::vector<std::string> more, std::map<std::string, std::string> environment = {}) {
    std::vector<std::string> arguments = {"train",  "--device",   "cuda",    "--dataset",    "idx",
                                          "--data", "digits",     "--model", "model.json",   "--epochs",
                                          "1",      "--out",      "out",     "--batch-size", "4",
                                          "--json", "--overwrite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path(), std::move(environment)});
  }

  /// The calls of one training, in order: "cudaMemcpyAsync to_host".
  std::vector<std::string> trace(const std::vector<std::string>& arguments) {
    const std::string file = (folder_ / "trace").string();
    const Outcome outcome = train(arguments, {{"SOFTWARE_GPU_TRACE", file}});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return lines(read_file(file));
  }

  TemporaryFolder folder_;
};

inline std::string function_of(const std::string& call) { return call.substr(0, call.find(' ')); }

}  // namespace convoy::test
