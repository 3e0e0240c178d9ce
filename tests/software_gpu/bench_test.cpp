// What `convoy bench` counts on a GPU, and whether `--plan` foretells it. Times on the software GPU mean
// nothing.
#include <gmock/gmock.h>

#include "tests/software_gpu/support.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

// Every kind of layer, and what the engine fuses.
constexpr const char* kEverything = R"({"name": "everything", "input": [1, 8, 8], "layers": [
  {"name": "a", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "padding": 1},
  {"name": "b", "type": "BatchNorm2d", "num_features": 4},
  {"name": "c", "type": "ReLU"},
  {"name": "d", "type": "Residual", "body": [
    {"name": "0", "type": "Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1},
    {"name": "1", "type": "ReLU"},
    {"name": "2", "type": "GroupNorm", "num_groups": 2, "num_channels": 4}]},
  {"name": "e", "type": "ReLU"},
  {"name": "f", "type": "MaxPool2d", "kernel_size": 2},
  {"name": "g", "type": "Conv2d", "in_channels": 4, "out_channels": 3, "kernel_size": 1, "bias": false},
  {"name": "h", "type": "BatchNorm2d", "num_features": 3},
  {"name": "i", "type": "Dropout", "p": 0.25},
  {"name": "j", "type": "AvgPool2d", "kernel_size": 2},
  {"name": "k", "type": "Flatten"},
  {"name": "l", "type": "Linear", "in_features": 12, "out_features": 10}]})";

class Bench : public GpuProgram {
 protected:
  void SetUp() override {
    GpuProgram::SetUp();
    write_file(folder_ / "everything.json", kEverything);
  }

  nlohmann::json bench(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "bench");
    arguments.insert(arguments.end(), {"--batch-size", "2", "--no-plan-cache", "--json"});
    const Outcome outcome = run(arguments, {folder_.path()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code == 0 ? json_lines(outcome.out).back() : nlohmann::json();
  }

  nlohmann::json timed(const std::string& model, const std::string& precision) {
    return bench({"--device", "cuda", "--steps", "1", "--model", model, "--precision", precision});
  }
};

nlohmann::json pass_of(const nlohmann::json& bench, const std::string& name, const std::string& pass) {
  for (const auto& one : bench["passes"]) {
    if (one["name"] == name && one["pass"] == pass) return one;
  }
  ADD_FAILURE() << "no " << name << " " << pass;
  return {};
}

TEST_F(Bench, TellsWhatEachPassComputesMovesAndLaunches) {
  const nlohmann::json fp32 = timed("model.json", "fp32");
  const nlohmann::json conv = pass_of(fp32, "conv", "forward");
  // Two images: 128 pixels, 36 weights, 512 outputs of 9 products, 4 biases.
  EXPECT_EQ(conv["flops"], 9216);
  EXPECT_EQ(conv["bytes"], (128 + 36 + 512) * 4 + 16);
  EXPECT_EQ(conv["launches"], 1);
  EXPECT_GT(conv["ms"], 0.0);
  EXPECT_EQ(pass_of(fp32, "loss", "backward")["launches"], 0) << "forward gives the gradient, too";
  std::int64_t launches = 0;
  double roofline = 0.0;
  for (const auto& pass : fp32["passes"]) {
    launches += pass["launches"].get<std::int64_t>();
    roofline += pass["roofline_ms"].get<double>();
  }
  EXPECT_EQ(fp32["graph"]["nodes"], launches) << "the passes make up the step";
  EXPECT_DOUBLE_EQ(fp32["roofline_ms"], roofline);
  const double arithmetic = 9216 / fp32["peak_gflops"].get<double>();
  const double memory = conv["bytes"].get<double>() / fp32["peak_gigabytes_per_second"].get<double>();
  EXPECT_DOUBLE_EQ(conv["roofline_ms"], std::max(arithmetic, memory) / 1e6);

  const nlohmann::json bf16 = timed("model.json", "bf16");
  EXPECT_EQ(pass_of(bf16, "conv", "forward")["bytes"], (128 + 36 + 512) * 2 + 16);
}

TEST_F(Bench, PrintsATableWithARowForEachPass) {
  const Outcome outcome = run({"bench", "--device", "cuda", "--model", "model.json", "--batch-size", "2",
                               "--steps", "1", "--no-plan-cache"},
                              {folder_.path()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text :
       {"launches", "GFLOP/s", "GB/s", "of roofline", "cuBLASLt's product of large matrices",
        "a copy reads and writes", "nodes a step"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  EXPECT_THAT(outcome.out, testing::ContainsRegex("conv2 +Conv2d +backward +[0-9.]+ +[23] "));
}

TEST_F(Bench, LaunchesWhatThePlanForADescribedGpuSays) {
  struct Subject {
    std::string model, precision, fuse;
  };
  for (const auto& [model, precision, fuse] :
       {Subject{"everything.json", "fp32", "--no-fuse"}, Subject{"everything.json", "bf16", "--no-fuse"},
        Subject{"convnet", "fp32", "--no-fuse"}, Subject{"convnet", "bf16", "--no-fuse"},
        Subject{"convnet", "fp32", "--fuse"}, Subject{"convnet", "bf16", "--fuse"}}) {
    SCOPED_TRACE(model + " " + precision + " " + fuse);
    const nlohmann::json here =
        bench({"--device", "cuda", "--steps", "1", "--model", model, "--precision", precision, fuse});
    const nlohmann::json plan = bench({"--plan", "h100", "--model", model, "--precision", precision, fuse});
    ASSERT_EQ(plan["passes"].size(), here["passes"].size());
    for (std::size_t i = 0; i < plan["passes"].size(); ++i) {
      const nlohmann::json& planned = plan["passes"][i];
      const nlohmann::json& timed = here["passes"][i];
      for (const char* member : {"name", "type", "pass", "flops", "bytes"}) {
        EXPECT_EQ(planned[member], timed[member]) << model << ", " << precision << ", " << timed;
      }
      // The stand-in of cuDNN enqueues one node a plan; a plan's count is what the real one would at least.
      const bool by_cudnn = planned["plans"].dump().find("cuDNN engine") != std::string::npos;
      if (!by_cudnn) {
        EXPECT_EQ(planned["launches"], timed["launches"]) << timed;
      }
      EXPECT_GE(planned["launches"], timed["launches"]) << timed;
    }
    EXPECT_GE(plan["launches"], here["graph"]["nodes"]);
  }
}

TEST_F(Bench, RefusesAPlanOfWhatTrainingRefuses) {
  write_file(folder_ / "groups.json", R"({"name": "groups", "input": [2, 8, 8], "layers": [
      {"name": "conv", "type": "Conv2d", "in_channels": 2, "out_channels": 4, "kernel_size": 3, "groups": 2},
      {"name": "flatten", "type": "Flatten"}, {"name": "fc", "type": "Linear", "in_features": 144, "out_features": 10}]})");
  const Outcome outcome =
      run({"bench", "--plan", "h100", "--model", "groups.json", "--precision", "bf16", "--no-plan-cache"},
          {folder_.path(), {{"SOFTWARE_GPU_CUDNN_LACKS", "wgrad"}}});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr("cuDNN has no plan for conv2d.wgrad"),
                                          HasSubstr("on the h100, and no own kernel stands in")));
}

// A max pool's two directions share an index: own kernels do both or none.
TEST_F(Bench, PlansBothDirectionsOfAMaxPoolAlike) {
  const Outcome outcome =
      run({"bench", "--plan", "h100", "--model", "everything.json", "--json", "--no-plan-cache"},
          {folder_.path(), {{"SOFTWARE_GPU_CUDNN_LACKS", "pool_backward"}}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json plan = json_lines(outcome.out).back();
  for (const char* pass : {"forward", "backward"}) {
    EXPECT_EQ(pass_of(plan, "f", pass)["plans"][0]["realised_by"], "own kernel") << pass;
  }
}

// The work of a launch that is timed begins while the device still does another.
TEST_F(Bench, EnqueuesAnUntimedLaunchInFrontOfEachTimedOne) {
  const std::string file = (folder_ / "trace").string();
  const Outcome outcome = run({"bench", "--device", "cuda", "--model", "model.json", "--batch-size", "2",
                               "--steps", "40", "--no-plan-cache"},
                              {folder_.path(), {{"SOFTWARE_GPU_TRACE", file}}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::string calls;  // a letter each: a wait, a launch, a mark
  for (const std::string& call : lines(read_file(file))) {
    const std::string function = function_of(call);
    if (function == "cudaStreamSynchronize") calls += 'w';
    if (function == "cudaGraphLaunch") calls += 'l';
    if (function == "cudaEventRecord") calls += 'm';
  }
  EXPECT_THAT(calls, HasSubstr("wlmlm"));
  EXPECT_THAT(calls, testing::Not(HasSubstr("wmlm"))) << "a mark on a device that has nothing to do";
}

}  // namespace
}  // namespace convoy::test
