// Own kernels among cuDNN's plans: by rank, by time, from the cache, and where cuDNN has no plan at all.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/plan_cache.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"
#include "tests/software_gpu/plan_digest.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// CTest gives each case a process of its own: what the environment says holds for one.
void cudnn_lacks(const char* what) { setenv("SOFTWARE_GPU_CUDNN_LACKS", what, 1); }

PlanRow row_of(const Backend& backend, const std::string& operation) {
  for (const PlanRow& row : backend.plans()) {
    if (row.operation.starts_with(operation)) return row;
  }
  ADD_FAILURE() << "no row for " << operation;
  return {};
}

std::vector<double> counting(std::int64_t count, int modulus, int offset) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i % modulus + offset));
  return values;
}

struct Gradient {
  PlanRow row;
  std::vector<double> values;
};

constexpr std::int64_t kManyChannels = 20;  // of which the heuristics' choice is taken

/// The weight gradient of a convolution of small integers, whose sums are exact however they are made.
/// In fp32, unless the options name a precision.
Gradient weight_gradient(DeviceOptions options, std::int64_t groups = 1,
                         std::int64_t channels = kManyChannels) {
  if (!options.precision) options.precision = Precision::fp32;
  const auto backend = make_cuda_backend(options);
  const Conv2d layer{.in_channels = channels,
                     .out_channels = 8,
                     .kernel_size = {3, 3},
                     .padding = {1, 1},
                     .groups = groups,
                     .bias = false};
  const Shape shapes[] = {{8, channels / groups, 3, 3}};
  const auto arena = backend->make_parameters(shapes, /*with_gradients=*/true);
  const Variable x{backend->make_activation({5, channels, 9, 8}), nullptr};
  backend->write(*x.value, counting(5 * channels * 72, 7, -3));
  const OperationPtr conv = backend->make_conv2d(layer, false, x, arena->variables()[0], {});
  backend->write(*conv->output().grad, counting(5 * 8 * 72, 5, -2));
  backend->prepare();
  conv->backward();
  return {row_of(*backend, "conv2d.wgrad"), backend->read(*arena->variables()[0].grad)};
}

TEST(OwnWeightGradient, IsRankedBehindEnginesAndBeforeNaiveOnes) {
  const Gradient by_engine = weight_gradient({});
  EXPECT_EQ(by_engine.row.realised_by, "cuDNN engine 2");
  cudnn_lacks("fast_wgrad");
  const Gradient own = weight_gradient({});
  EXPECT_EQ(own.row.realisation, Realisation::own_kernel);
  EXPECT_EQ(own.row.realised_by, "own kernel: weight gradient, 16x32 tiles, 2 slices");
  EXPECT_EQ(own.row.notes, "deterministic, cuDNN has naive engines only");
  EXPECT_EQ(own.row.launches, 2);
  EXPECT_EQ(own.row.workspace, 2 * 8 * kManyChannels * 9 * 4);
  EXPECT_EQ(own.values, by_engine.values);
  cudnn_lacks("wgrad");
  const Gradient alone = weight_gradient({});
  EXPECT_EQ(alone.row.notes, "deterministic, cuDNN has no plan");
  EXPECT_EQ(alone.values, by_engine.values);
}

TEST(OwnWeightGradient, IsForOneGroupInAllPrecisions) {
  cudnn_lacks("fast_wgrad");
  EXPECT_EQ(weight_gradient({}, 2).row.realised_by, "cuDNN engine 0");
  const Gradient fp32 = weight_gradient({});
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const Gradient own = weight_gradient({.precision = precision});
    EXPECT_THAT(own.row.realised_by, StartsWith("own kernel: weight gradient, "));
    for (std::size_t i = 0; i < fp32.values.size(); ++i) {  // in bf16 the result is rounded
      ASSERT_NEAR(own.values[i], fp32.values[i],
                  precision == Precision::bf16 ? std::abs(fp32.values[i]) / 256 : 0.0);
    }
  }
}

// And is then not asked, which takes a start its time.
TEST(OwnWeightGradient, OfFewChannelsComesBeforeCudnn) {
  for (const auto& [precision, most] :
       {std::pair(Precision::fp32, 16), std::pair(Precision::tf32, 16), std::pair(Precision::bf16, 4)}) {
    const Gradient few = weight_gradient({.precision = precision}, 1, most);
    EXPECT_THAT(few.row.realised_by, StartsWith("own kernel: weight gradient, "));
    EXPECT_EQ(few.row.notes, "deterministic, faster for few channels");
    EXPECT_THAT(weight_gradient({.precision = precision}, 1, most + 1).row.realised_by,
                StartsWith("cuDNN engine"));
  }
  setenv("SOFTWARE_GPU_ENGINE_MS", "0:500,2:1,5:500", 1);
  setenv("SOFTWARE_GPU_KERNEL_MS", "conv_weight:700", 1);
  EXPECT_EQ(weight_gradient({.autotune = true}, 1, 4).row.realised_by, "cuDNN engine 2")
      << "where it was timed";
}

TEST(OwnWeightGradient, IsTimedAsAnyPlan) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "0:500,2:500,5:500", 1);
  const Gradient own = weight_gradient({.autotune = true});
  EXPECT_THAT(own.row.realised_by, StartsWith("own kernel: weight gradient, "));
  EXPECT_THAT(own.row.notes, AllOf(HasSubstr("planned in "), HasSubstr("fastest of 4: ")));
  setenv("SOFTWARE_GPU_KERNEL_MS", "conv_weight:700", 1);
  setenv("SOFTWARE_GPU_ENGINE_MS", "0:500,2:500,5:1", 1);
  const Gradient by_engine = weight_gradient({.autotune = true});
  EXPECT_EQ(by_engine.row.realised_by, "cuDNN engine 5");
  EXPECT_EQ(own.values, by_engine.values);
}

class CachedOwnKernel : public testing::Test {
 protected:
  CachedOwnKernel() { setenv("SOFTWARE_GPU_TRACE", (folder_ / "trace").c_str(), 1); }

  std::ptrdiff_t calls(const std::string& function) const {
    return std::ranges::count(test::lines(read_file(folder_ / "trace")), function);
  }
  std::filesystem::path plans() const { return folder_ / "plans"; }

  TemporaryFolder folder_;
};

TEST_F(CachedOwnKernel, IsRememberedAsTheFirstInRank) {
  cudnn_lacks("fast_wgrad");
  const DeviceOptions options{.plan_cache = plans()};
  const Gradient cold = weight_gradient(options);
  const std::ptrdiff_t finalised = calls("cudnnBackendFinalize");
  const Gradient warm = weight_gradient(options);
  EXPECT_EQ(warm.row.realisation, Realisation::own_kernel);
  EXPECT_EQ(warm.row.realised_by, cold.row.realised_by);
  EXPECT_EQ(warm.row.notes, "deterministic, from the cache");
  EXPECT_EQ(warm.values, cold.values);
  // Two descriptions of the device; the forward's plan and its variant pack. The gradient was not planned.
  EXPECT_EQ(calls("cudnnBackendFinalize"), finalised + 4);
}

// nvrtc may be there the next time, say.
TEST_F(CachedOwnKernel, IsNotRememberedForWantOfAPlan) {
  cudnn_lacks("wgrad");
  for (const bool autotune : {false, true}) {
    const DeviceOptions options{.autotune = autotune, .plan_cache = plans()};
    EXPECT_EQ(weight_gradient(options).row.realisation, Realisation::own_kernel);
  }
  unsetenv("SOFTWARE_GPU_CUDNN_LACKS");
  EXPECT_EQ(weight_gradient({.plan_cache = plans()}).row.realised_by, "cuDNN engine 2");
}

// Where cuDNN loads no plan from its text, the handle is asked before the own kernel does the work.
TEST_F(CachedOwnKernel, IsRankedBehindWhatTheHandlePlans) {
  std::vector<std::string> said;
  const DeviceOptions options{.plan_cache = plans(),
                              .say = [&](const std::string& line, Remedy) { said.push_back(line); }};
  setenv("SOFTWARE_GPU_NO_PLAN_TEXT", "1", 1);
  const Gradient by_handle = weight_gradient(options);
  EXPECT_EQ(by_handle.row.realised_by, "cuDNN engine 2");
  EXPECT_EQ(by_handle.row.notes, "deterministic, planned by the handle");
  EXPECT_EQ(said.size(), 2u) << "of the forward and of the weight gradient";
  EXPECT_TRUE(test::files_under(plans()).empty()) << "its text is of no use";
  cudnn_lacks("fast_wgrad");
  const Gradient own = weight_gradient(options);
  EXPECT_EQ(own.row.realisation, Realisation::own_kernel) << "before a naive engine, the handle's too";
  EXPECT_EQ(own.values, by_handle.values);
  EXPECT_TRUE(test::files_under(plans()).empty());
}

TEST_F(CachedOwnKernel, IsRememberedAsTheFastest) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "0:500,2:500,5:500", 1);
  const DeviceOptions options{.autotune = true, .plan_cache = plans()};
  const Gradient cold = weight_gradient(options);
  EXPECT_THAT(cold.row.notes, HasSubstr("fastest of 4"));
  unsetenv("SOFTWARE_GPU_ENGINE_MS");  // the choice was made
  const std::ptrdiff_t records = calls("cudaEventRecord");
  EXPECT_EQ(weight_gradient(options).row.notes, "deterministic, from the cache");
  EXPECT_EQ(calls("cudaEventRecord"), records) << "nothing is timed again";
  EXPECT_EQ(weight_gradient({.plan_cache = plans()}).row.realised_by, "cuDNN engine 2")
      << "who does not tune gets the first in rank";
}

// Of a program whose own kernel has another name, and so another speed: what was found out about it holds no
// more.
TEST_F(CachedOwnKernel, OfAnotherNameIsPlannedAnew) {
  const DeviceOptions options{.autotune = true, .plan_cache = plans()};
  setenv("SOFTWARE_GPU_ENGINE_MS", "0:500,2:500,5:500", 1);
  weight_gradient(options);
  int renamed = 0;
  for (const std::string& file : test::files_under(plans())) {
    nlohmann::json entry = nlohmann::json::parse(read_file(plans() / file));
    if (entry["info"]["own_kernel"] == "") continue;
    entry["info"]["own_kernel"] = "of old";
    entry["digest"] = test::plan_digest(entry["info"].dump() + entry["plan"].get<std::string>());
    write_file(plans() / file, entry.dump());
    ++renamed;
  }
  ASSERT_EQ(renamed, 1);
  EXPECT_THAT(weight_gradient(options).row.notes, HasSubstr("fastest of 4"));
}

/// What a pool puts out and gives back, with the rows of its two directions.
struct Pooled {
  PlanRow forward, backward;
  std::vector<double> y, dx;
};

template <typename Make>
Pooled pooled(const DeviceOptions& options, const std::vector<double>& x, const std::vector<double>& dy,
              const std::string& name, Make make) {
  const auto backend = make_cuda_backend(options);
  const Shape shape{1, 1, 4, 4};
  const Variable input{backend->make_activation(shape), backend->make_activation(shape)};
  const OperationPtr pool = make(*backend, input);
  backend->prepare();
  backend->write(*input.value, x);
  backend->write(*pool->output().grad, dy);
  const auto step = backend->record([&] {
    pool->forward(Phase::training);
    pool->backward();
  });
  step->run(2);  // plainly, and as a CUDA graph
  return {row_of(*backend, name + ".forward"), row_of(*backend, name + ".backward"),
          backend->read(*pool->output().value), backend->read(*input.grad)};
}

const std::vector<double> kImage = {1, 2, 5, 5,  //
                                    3, 3, 0, 4,  //
                                    7, 0, 8, 1,  //
                                    6, 2, 9, 9};

Pooled max_pooled(const DeviceOptions& options, const std::vector<double>& x = kImage) {
  return pooled(options, x, {1, 2, 3, 4}, "max_pool", [](Backend& backend, const Variable& input) {
    return backend.make_max_pool({.kernel_size = {2, 2}}, input);
  });
}

const std::vector<double> kMaxGradient = {0, 0, 2, 0,  //
                                          1, 0, 0, 0,  //
                                          3, 0, 0, 0,  //
                                          0, 0, 4, 0};

class OwnPools : public testing::TestWithParam<Precision> {};

TEST_P(OwnPools, StandInWithoutNvrtc) {
  cudnn_lacks("nvrtc");
  const Pooled max = max_pooled({.precision = GetParam()});
  for (const PlanRow& row : {max.forward, max.backward}) {
    EXPECT_EQ(row.realisation, Realisation::own_kernel);
    EXPECT_EQ(row.realised_by, "own kernel: max pool");
    EXPECT_EQ(row.notes, "cuDNN has no plan");
  }
  EXPECT_THAT(max.y, ElementsAre(3, 5, 7, 9));
  EXPECT_EQ(max.dx, kMaxGradient) << "the first of equals gets it";

  const Pooled avg = pooled({.precision = GetParam()}, kImage, {4, 8, 12, 16}, "avg_pool",
                            [](Backend& backend, const Variable& input) {
                              return backend.make_avg_pool({.kernel_size = {2, 2}}, input);
                            });
  const bool bf16 = GetParam() == Precision::bf16;  // for which cuDNN is not asked
  for (const PlanRow& row : {avg.forward, avg.backward}) {
    EXPECT_EQ(row.realised_by, "own kernel: average pool");
    EXPECT_EQ(row.notes,
              bf16 ? "deterministic, cuDNN's is wrong in bf16" : "deterministic, cuDNN has no plan");
  }
  EXPECT_THAT(avg.y, ElementsAre(2.25, 3.5, 3.75, 6.75));
  EXPECT_THAT(avg.dx, ElementsAre(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4));
}

INSTANTIATE_TEST_SUITE_P(, OwnPools, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& precision) {
                           return precision.param == Precision::fp32 ? "fp32" : "bf16";
                         });

// What is wrong is not taken for being fast.
TEST(OwnPool, AveragesInBfloat16AreNeverCudnns) {
  setenv("SOFTWARE_GPU_ENGINE_MS", "10:1,11:1", 1);
  setenv("SOFTWARE_GPU_KERNEL_MS", "pool:700", 1);
  const TemporaryFolder plans;
  for (const char* start : {"cold", "warm"}) {
    const Pooled avg =
        pooled({.precision = Precision::bf16, .autotune = true, .plan_cache = plans / "plans"}, kImage,
               {4, 8, 12, 16}, "avg_pool", [](Backend& backend, const Variable& input) {
                 return backend.make_avg_pool({.kernel_size = {2, 2}}, input);
               });
    for (const PlanRow& row : {avg.forward, avg.backward}) {
      EXPECT_EQ(row.realised_by, "own kernel: average pool") << start;
      EXPECT_EQ(row.notes, "deterministic, cuDNN's is wrong in bf16");
    }
  }
}

TEST(OwnPool, PassesANaNOn) {
  cudnn_lacks("nvrtc");
  std::vector<double> image = kImage;
  image[5] = std::numeric_limits<double>::quiet_NaN();
  const Pooled max = max_pooled({}, image);
  EXPECT_TRUE(std::isnan(max.y[0]));
  EXPECT_EQ(max.dx[5], 1);
}

// cuDNN's index is not ours: what it has one direction for only is all done by own kernels.
TEST(OwnPool, DoesBothDirectionsOrNone) {
  cudnn_lacks("pool_backward");
  const Pooled max = max_pooled({});
  EXPECT_EQ(max.forward.realised_by, "own kernel: max pool");
  EXPECT_EQ(max.forward.notes, "cuDNN has a plan for one direction only");
  EXPECT_EQ(max.backward.notes, "cuDNN has no plan");
  EXPECT_THAT(max.y, ElementsAre(3, 5, 7, 9));
  EXPECT_EQ(max.dx, kMaxGradient);
}

// A byte tells 256 taps apart.
TEST(OwnPool, AWindowTooLargeForItsIndexIsRefusedInWords) {
  cudnn_lacks("nvrtc");
  const auto backend = make_cuda_backend({.precision = Precision::fp32});
  const Variable x{backend->make_activation({1, 1, 17, 17}), nullptr};
  const OperationPtr pool = backend->make_max_pool({.kernel_size = {17, 17}}, x);
  backend->prepare();
  EXPECT_EQ(row_of(*backend, "max_pool").realised_by, "nothing");
  try {
    pool->forward(Phase::training);
    FAIL() << "a pool out of nothing";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cuDNN has no plan for max_pool.forward of [1, 1, 17, 17]"));
  }
}

}  // namespace
}  // namespace convoy
