// What a profiler sees of a training: the program under a library that records NVTX's ranges.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;

// The ranges of one epoch of six steps; steps 4 and 5 are profiled.
std::vector<std::string> ranges_of_training(const std::string& device) {
  const TemporaryFolder folder;
  write_idx_data(folder / "digits", {.train = 24, .test = 4});
  write_file(folder / "model.json", R"({"name": "small", "input": [1, 8, 8], "layers": [
    {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3},
    {"name": "conv2", "type": "Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 3},
    {"name": "flatten", "type": "Flatten"},
    {"name": "fc", "type": "Linear", "in_features": 64, "out_features": 10}]})");
  const std::string record = (folder / "ranges").string();
  const Outcome outcome =
      run({"train", "--device", device, "--dataset", "idx", "--data", "digits", "--model", "model.json",
           "--epochs", "1", "--batch-size", "4", "--profile", "2", "--out", "out"},
          {folder.path(), {{"NVTX_INJECTION64_PATH", NVTX_RECORDER}, {"NVTX_RECORD", record}}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return lines(read_file(record));
}

std::vector<std::string> from_to(const std::vector<std::string>& all, const std::string& first,
                                 const std::string& behind) {
  const auto begin = std::ranges::find(all, first);
  return {begin, std::find(begin, all.end(), behind)};
}

TEST(Trace, APrintedRangeIsAPlaceInTheTraining) {
  const auto ranges = ranges_of_training("reference");
  EXPECT_EQ(ranges.at(0), "convoy:epoch=1");
  EXPECT_EQ(ranges.at(1), "  convoy:step=1");
  // The profiled steps lie in a range of their own, which a profiler can be told to wait for.
  EXPECT_THAT(from_to(ranges, "  convoy:profile", "    convoy:step=5"),
              ElementsAre("  convoy:profile", "    convoy:step=4",       //
                          "      convoy:input", "        convoy:batch",  //
                          "      convoy:forward", "        convoy:conv.fprop", "        convoy:conv2.fprop",
                          "        convoy:fc.fprop", "        convoy:loss.fprop",  //
                          "      convoy:backward", "        convoy:loss.bprop", "        convoy:fc.bprop",
                          "        convoy:conv2.bprop", "        convoy:conv.bprop",  //
                          "      convoy:update", "        convoy:optimizer"));
  EXPECT_EQ(std::ranges::count(ranges, "  convoy:step=6"), 1) << "the profile has ended";
}

}  // namespace
}  // namespace convoy::test
