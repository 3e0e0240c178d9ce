// Ways to a plan that a start takes only where the usual one is barred: no thread to plan on, and a cuDNN
// that loads no plan from its text.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <pthread.h>
#include <stdlib.h>

#include <atomic>
#include <cerrno>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/plan_cache.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
#include "engine/backend/cuda/runtime/context.h"
#include "tests/temporary_folder.h"

namespace {
std::atomic<bool> no_threads = false;
std::atomic<int> refused_threads = 0;
}  // namespace

// In the place of the C library's: as where a limit on processes is reached.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                              void* argument) noexcept {
  if (no_threads) {
    ++refused_threads;
    return EAGAIN;
  }
  static const auto real = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return real(thread, attributes, start, argument);
}

namespace convoy::cuda {
namespace {

using testing::AllOf;
using testing::Each;
using testing::EndsWith;
using testing::HasSubstr;
using testing::SizeIs;

struct Result {
  PlanRow row;
  std::vector<double> y;
  std::vector<std::string> said;
};

/// Convolves twos with a kernel of halves, 4 x 3 x 3.
Result convolve(DeviceOptions options = {}) {
  Result result;
  options.precision = Precision::fp32;
  options.say = [&](const std::string& line, Remedy) { result.said.push_back(line); };
  const auto backend = make_cuda_backend(options);
  const Shape shapes[] = {{4, 4, 3, 3}};
  const auto weights = backend->make_parameters(shapes, /*with_gradients=*/false);
  backend->write(*weights->variables()[0].value, std::vector<double>(144, 0.5));
  const Variable x{backend->make_activation({2, 4, 5, 5}), nullptr};
  backend->write(*x.value, std::vector<double>(200, 2.0));
  const Conv2d layer{.in_channels = 4, .out_channels = 4, .kernel_size = {3, 3}, .bias = false};
  const OperationPtr conv = backend->make_conv2d(layer, false, x, weights->variables()[0], {});
  backend->prepare();
  conv->forward(Phase::training);
  result.y = backend->read(*conv->output().value);
  result.row = backend->plans().at(0);
  return result;
}

TEST(PlanStore, PlansWithoutAThread) {
  no_threads = true;
  const Result alone = convolve();
  no_threads = false;
  EXPECT_EQ(refused_threads, 1) << "it was not asked for one";
  EXPECT_EQ(alone.row.realisation, Realisation::planned);
  EXPECT_THAT(alone.y, Each(36.0));
  EXPECT_THAT(alone.said, SizeIs(0));
  const Result usual = convolve();
  EXPECT_EQ(refused_threads, 1);
  EXPECT_EQ(alone.row.realised_by, usual.row.realised_by);
}

TEST(PlanStore, WhatCuDnnDoesNotLoadTheHandlePlans) {
  const TemporaryFolder folder;
  const DeviceOptions options{.plan_cache = folder / "plans"};
  setenv("SOFTWARE_GPU_NO_PLAN_TEXT", "1", 1);
  const Result by_handle = convolve(options);
  ASSERT_THAT(by_handle.said, SizeIs(1));
  EXPECT_THAT(by_handle.said[0], AllOf(HasSubstr("does not load the plan that it made for conv2d.fprop"),
                                       HasSubstr("so the GPU's handle plans it"),
                                       HasSubstr("SOFTWARE_GPU_NO_PLAN_TEXT asks for it")));
  EXPECT_EQ(by_handle.row.realisation, Realisation::planned);
  EXPECT_EQ(by_handle.row.notes, "deterministic, planned by the handle");
  EXPECT_THAT(by_handle.y, Each(36.0));
  EXPECT_EQ(dnn::PlanCache::count(folder / "plans"), 0u) << "its text is of no use";

  unsetenv("SOFTWARE_GPU_NO_PLAN_TEXT");
  const Result loaded = convolve(options);
  EXPECT_THAT(loaded.said, SizeIs(0));
  EXPECT_EQ(loaded.row.realised_by, by_handle.row.realised_by);
  EXPECT_EQ(loaded.y, by_handle.y);

  // A cache full of plans that are not loaded any more.
  setenv("SOFTWARE_GPU_NO_PLAN_TEXT", "1", 1);
  const Result again = convolve(options);
  unsetenv("SOFTWARE_GPU_NO_PLAN_TEXT");
  ASSERT_THAT(again.said, SizeIs(2));
  EXPECT_THAT(again.said[0], HasSubstr("cannot be loaded, so it is planned again"));
  EXPECT_EQ(again.y, by_handle.y);
}

// Without a handle, as where it has no plan either.
TEST(PlanStore, WhatNobodyPlansAnOwnKernelDoes) {
  std::vector<std::string> said;
  const Context context({});
  PlanStore store(
      dnn::describe_device(context.cudnn()),
      {.precision = Precision::fp32, .say = [&](const std::string& line, Remedy) { said.push_back(line); }});
  setenv("SOFTWARE_GPU_NO_PLAN_TEXT", "1", 1);
  const Shape x{2, 4, 5, 5};
  bool made = false;
  const auto norm = store.request(batch_norm_training_graph(x, false, DType::float32), {},
                                  {.name = "batch norm", .make = [&] { made = true; }});
  store.choose({});
  EXPECT_TRUE(made);
  EXPECT_EQ(store.rows()[0].realised_by, "own kernel: batch norm");
  EXPECT_THAT(said, testing::ElementsAre(HasSubstr("so an own kernel stands in")));
  const Conv2d layer{.in_channels = 4, .out_channels = 4, .kernel_size = {3, 3}, .bias = false};
  const auto convolution = store.request(conv2d_forward_graph(layer, false, x, DType::float32), {});
  try {
    store.choose({});
    FAIL() << "chosen";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("conv2d.fprop of [2, 4, 5, 5]"),
                                    HasSubstr("SOFTWARE_GPU_NO_PLAN_TEXT asks for it")));
  }
  unsetenv("SOFTWARE_GPU_NO_PLAN_TEXT");
}

TEST(Planner, SaysThatItsCompilerIsMissingWhereThereIsNoPlan) {
  const auto problem = [] {
    const Context context({});
    const dnn::Planner planner(dnn::describe_device(context.cudnn()), {});
    return planner.no_plan(pool_forward_graph(MaxPool2d{{2, 2}}, {1, 3, 4, 4}, DType::float32));
  };
  EXPECT_THAT(problem(), EndsWith("and no own kernel stands in"));
  setenv("SOFTWARE_GPU_CUDNN_CUDA", "99000", 1);
  EXPECT_THAT(problem(),
              HasSubstr("stands in: libnvrtc.so.99 cannot be loaded, and without it cuDNN has no plan "
                        "for pooling and batch norm"));
}

}  // namespace
}  // namespace convoy::cuda
