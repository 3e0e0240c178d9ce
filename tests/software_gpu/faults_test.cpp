// Every call of a two-step training fails once: a clear line, a non-zero exit code, no leak, no crash. Where
// the program has another way (a graph that cannot be captured, an engine that does not finalise), it must
// reach the same loss by it.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "tests/software_gpu/support.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// With graphs for norms and pools, too. Nothing is kept of these, which another thread would do, now earlier
// and now later.
const std::vector<std::string> kShort = {"--no-fuse", "--limit-train", "8", "--log-every",
                                         "0",         "--save-every",  "0"};
const std::vector<std::string> kProfiled = {
    "--no-fuse", "--limit-train", "16", "--log-every", "0", "--save-every", "0", "--profile", "1"};
// And of this each state.
const std::vector<std::string> kSaved = {"--no-fuse", "--limit-train", "8", "--log-every",
                                         "0",         "--save-every",  "1"};

// The training that calls `function`.
const std::vector<std::string>& training_with(const std::string& function) {
  return function.starts_with("cudaEvent") ? kProfiled : kShort;
}

// What a failure may be survived in: whatever destroys, and whatever there is a substitute for.
const std::set<std::string> kSurvivable = {
    "cudaFree", "cudaFreeHost", "cudaStreamDestroy", "cudaEventDestroy", "cudaGraphDestroy",
    "cudaGraphExecDestroy", "cublasLtDestroy", "cublasLtMatmulDescDestroy", "cublasLtMatrixLayoutDestroy",
    "cublasLtMatmulPreferenceDestroy", "cudnnDestroy", "cudnnBackendDestroyDescriptor",
    // A training without graphs.
    "cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaLaunchKernelExC",
    "cublasLtMatmul", "cudnnBackendExecute", "cudaGraphGetNodes", "cudaGraphNodeGetType",
    // The next engine, an own kernel, or a plan by the handle for one that is not loaded from its text.
    "cudnnBackendFinalize", "cudnnBackendCreateDescriptor", "cudnnBackendGetAttribute",
    "cudnnBackendSetAttribute",
    // A wait at the very end.
    "cudaStreamSynchronize"};

int failure_of(const std::string& function) {
  if (function.starts_with("cublas")) return 14;   // CUBLAS_STATUS_INTERNAL_ERROR
  if (function.starts_with("cudnn")) return 4000;  // CUDNN_STATUS_INTERNAL_ERROR
  return 719;                                      // cudaErrorLaunchFailure
}

double final_loss(const Outcome& outcome) {
  for (const auto& event : json_lines(outcome.out)) {
    if (event.contains("loss") && event.contains("checkpoint")) return event["loss"];
  }
  return std::nan("");
}

class Faults : public GpuProgram, public testing::WithParamInterface<const char*> {
 protected:
  void fail_each_call(const std::string& function, const std::vector<std::string>& training,
                      const std::set<std::string>& survivable);
};

void Faults::fail_each_call(const std::string& function, const std::vector<std::string>& training,
                            const std::set<std::string>& survivable) {
  const auto count_in = [&](const std::vector<std::string>& calls) {
    return std::ranges::count_if(calls,
                                 [&](const std::string& call) { return function_of(call) == function; });
  };
  const auto count = count_in(trace(training));
  ASSERT_GT(count, 0) << function << " is not called any more";
  const double loss = final_loss(train(training));
  ASSERT_TRUE(std::isfinite(loss));

  for (std::int64_t n = 1; n <= count; ++n) {
    SCOPED_TRACE(function + ", call " + std::to_string(n));
    const std::string fault = function + ":" + std::to_string(n) + ":" + std::to_string(failure_of(function));
    const std::filesystem::path traced = folder_ / "traced";
    std::filesystem::remove(traced);
    const Outcome outcome =
        train(training, {{"SOFTWARE_GPU_FAIL", fault}, {"SOFTWARE_GPU_TRACE", traced.string()}});
    EXPECT_THAT(outcome.err, Not(HasSubstr("software GPU: ")));  // no leak, nothing forbidden
    if (outcome.code == 0) {
      const bool told = outcome.err.find("a state of the training is not kept: ") != std::string::npos;
      // A thread that is late may make fewer calls than the last time.
      const bool failed = count_in(lines(read_file(traced))) >= n;
      EXPECT_TRUE(!failed || told || survivable.contains(function)) << "the failure went unnoticed";
      EXPECT_NEAR(final_loss(outcome), loss, 1e-4 * loss);
      continue;
    }
    EXPECT_EQ(outcome.code, 1);
    const auto said = lines(outcome.err);
    ASSERT_FALSE(said.empty());
    EXPECT_THAT(said.back(), HasSubstr("error: "));
    for (const std::string& line : said) {
      if (&line == &said.back()) continue;
      EXPECT_THAT(line, HasSubstr("a state of the training is not kept: "));
    }
  }
}

TEST_P(Faults, EveryCallFailsOnce) { fail_each_call(GetParam(), training_with(GetParam()), kSurvivable); }

// A start that finds its plans in the cache: those that cannot be loaded are planned again.
class WarmFaults : public Faults {};

TEST_P(WarmFaults, EveryCallFailsOnce) {
  std::vector<std::string> training = kShort;
  training.insert(training.end(), {"--plan-cache", "plans"});
  ASSERT_EQ(train(training).code, 0);
  fail_each_call(GetParam(), training,
                 {"cudnnBackendCreateDescriptor", "cudnnBackendFinalize", "cudnnBackendGetAttribute",
                  "cudnnBackendSetAttribute"});
}

INSTANTIATE_TEST_SUITE_P(, WarmFaults,
                         testing::Values("cudnnBackendCreateDescriptor", "cudnnBackendFinalize",
                                         "cudnnBackendGetAttribute", "cudnnBackendSetAttribute"),
                         [](const auto& instance) { return std::string(instance.param); });

// A state that cannot be read is told, and is no reason to end the training.
class SavingFaults : public Faults {};

TEST_P(SavingFaults, EveryCallFailsOnce) { fail_each_call(GetParam(), kSaved, kSurvivable); }

const char* const kSavingFunctions[] = {"cudaEventRecord", "cudaMemcpyAsync", "cudaSetDevice",
                                        "cudaStreamWaitEvent", "cudaStreamSynchronize"};

INSTANTIATE_TEST_SUITE_P(, SavingFaults, testing::ValuesIn(kSavingFunctions),
                         [](const auto& instance) { return std::string(instance.param); });

// A call that is not in this list is not tested: the last test notices it.
const char* const kFunctions[] = {"cublasLtCreate",
                                  "cublasLtDestroy",
                                  "cublasLtMatmul",
                                  "cublasLtMatmulAlgoGetHeuristic",
                                  "cublasLtMatmulDescCreate",
                                  "cublasLtMatmulDescDestroy",
                                  "cublasLtMatmulDescSetAttribute",
                                  "cublasLtMatmulPreferenceCreate",
                                  "cublasLtMatmulPreferenceDestroy",
                                  "cublasLtMatmulPreferenceSetAttribute",
                                  "cublasLtMatrixLayoutCreate",
                                  "cublasLtMatrixLayoutDestroy",
                                  "cudaDeviceGetAttribute",
                                  "cudaDeviceSynchronize",
                                  "cudaEventCreate",
                                  "cudaEventCreateWithFlags",
                                  "cudaEventDestroy",
                                  "cudaEventElapsedTime",
                                  "cudaEventRecord",
                                  "cudaEventSynchronize",
                                  "cudaFree",
                                  "cudaFuncGetAttributes",
                                  "cudaDriverGetVersion",
                                  "cudaGetDevice",
                                  "cudaGetDeviceCount",
                                  "cudaGetDeviceProperties",
                                  "cudaGraphDestroy",
                                  "cudaGraphExecDestroy",
                                  "cudaGraphGetNodes",
                                  "cudaGraphInstantiate",
                                  "cudaGraphLaunch",
                                  "cudaGraphNodeGetType",
                                  "cudaLaunchKernelExC",
                                  "cudaMalloc",
                                  "cudaMemGetInfo",
                                  "cudaMemcpyAsync",
                                  "cudaMemset",
                                  "cudaRuntimeGetVersion",
                                  "cudaSetDevice",
                                  "cudaStreamBeginCapture",
                                  "cudaStreamCreateWithFlags",
                                  "cudaStreamDestroy",
                                  "cudaStreamEndCapture",
                                  "cudaStreamSynchronize",
                                  "cudnnBackendCreateDescriptor",
                                  "cudnnBackendDestroyDescriptor",
                                  "cudnnBackendExecute",
                                  "cudnnBackendFinalize",
                                  "cudnnBackendGetAttribute",
                                  "cudnnBackendSetAttribute",
                                  "cudnnCreate",
                                  "cudnnDestroy",
                                  "cudnnSetStream"};

INSTANTIATE_TEST_SUITE_P(, Faults, testing::ValuesIn(kFunctions),
                         [](const auto& instance) { return std::string(instance.param); });

class MissingDevice : public GpuProgram {};

TEST_F(MissingDevice, IsExplained) {
  const auto said = [&](const std::string& fault) {
    const Outcome outcome = train(kShort, {{"SOFTWARE_GPU_FAIL", fault}});
    EXPECT_EQ(outcome.code, 1);
    return outcome.err;
  };
  EXPECT_THAT(said("cudaGetDeviceCount:1:35"), HasSubstr("install a driver for CUDA 13"));
  EXPECT_THAT(said("cudaGetDeviceCount:1:100"), HasSubstr("the NVIDIA driver reports no GPU"));
  EXPECT_THAT(said("cudaMalloc:1:2"), HasSubstr("out of device memory"));
}

// Of 16 images of 8x8 in batches of 4 as they are streamed, a batch a block.
class StreamingFaults : public Faults {};

const std::vector<std::string> kStreamed = {"--limit-train", "16", "--batch-size",  "4",  "--log-every", "0",
                                            "--save-every",  "0",  "--data-memory", "512"};

TEST_P(StreamingFaults, EveryCallFailsOnce) { fail_each_call(GetParam(), kStreamed, kSurvivable); }

INSTANTIATE_TEST_SUITE_P(, StreamingFaults,
                         testing::Values("cudaEventRecord", "cudaEventSynchronize", "cudaFreeHost",
                                         "cudaMallocHost", "cudaMemcpyAsync", "cudaSetDevice",
                                         "cudaStreamWaitEvent"),
                         [](const auto& instance) { return std::string(instance.param); });

class FaultList : public GpuProgram {};

TEST_F(FaultList, HasEveryFunctionThatIsCalled) {
  std::set<std::string> known(std::begin(kFunctions), std::end(kFunctions));
  known.insert(std::begin(kSavingFunctions), std::end(kSavingFunctions));
  for (const auto& training : {kShort, kSaved}) {
    for (const std::string& call : trace(training)) {
      EXPECT_TRUE(known.contains(function_of(call))) << function_of(call);
    }
  }
}

}  // namespace
}  // namespace convoy::test
