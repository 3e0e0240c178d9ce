// Batch norm, ReLU and max pool as one operation: by own kernels or layer by layer, as options, the device's
// time or the cache say.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>

#include "convoy/batch_trainer.h"
#include "convoy/builtin.h"
#include "convoy/state.h"
#include "engine/backend/cuda/cuda.h"
#include "tests/cli/program.h"
#include "tests/gpu/short_training.h"
#include "tests/software_gpu/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// CTest gives each case a process of its own: what the environment says holds for one.
void layers_take(const char* milliseconds) {  // of cuDNN's two engines for batch norm and pooling
  setenv("SOFTWARE_GPU_ENGINE_MS", fmt::format("10:{0},11:{0}", milliseconds).c_str(), 1);
}
void own_kernels_take(const char* milliseconds) {
  setenv("SOFTWARE_GPU_KERNEL_MS", fmt::format("batch_norm_pool:{}", milliseconds).c_str(), 1);
}

const Shape kImages{2, 4, 5, 6};

std::vector<double> waves(std::int64_t count, double step) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(std::sin(static_cast<double>(i) * step));
  return values;
}

/// The operation on a backend of its own, everything it is connected to, and what was there before prepare().
class Placed {
 public:
  explicit Placed(DeviceOptions options, const MaxPool2d& pool = {})
      : backend_(make_cuda_backend(in_fp32(std::move(options)))) {
    const Shape vectors[] = {{4}, {4}};
    arena_ = backend_->make_parameters(vectors, /*with_gradients=*/true);
    const Variable weight = arena_->variables()[0], bias = arena_->variables()[1];
    x_ = {backend_->make_activation(kImages), backend_->make_activation(kImages)};
    tensors_ = {weight, bias, backend_->make_tensor({4}, DType::float32),
                backend_->make_tensor({4}, DType::float32)};
    write(x_.value, waves(kImages.count(), 0.7));
    write(weight.value, {1, -2, 0.5, 3});
    write(bias.value, {0, 1, -0.25, 2});
    write(weight.grad, {5, 6, 7, 8});
    write(bias.grad, {9, 10, 11, 12});
    write(tensors_.running_mean, {1, 2, 3, 4});
    write(tensors_.running_var, {5, 6, 7, 8});
    operation_ = backend_->make_batch_norm_pool({.num_features = 4}, pool, x_, tensors_);
    backend_->prepare();
  }

  struct Results {
    std::vector<double> y, dx, dweight, dbias, running_mean, running_var;
    bool operator==(const Results&) const = default;
  };
  Results results() {
    const auto step = backend_->record([&] {
      operation_->forward(Phase::training);
      operation_->backward();
    });
    write(operation_->output().grad, waves(operation_->output().value->shape().count(), 1.3));
    step->run(2);  // plainly, and as a CUDA graph
    return {backend_->read(*operation_->output().value), backend_->read(*x_.grad),
            backend_->read(*tensors_.weight.grad),       backend_->read(*tensors_.bias.grad),
            backend_->read(*tensors_.running_mean),      backend_->read(*tensors_.running_var)};
  }

  std::vector<std::string> rows() const {
    std::vector<std::string> rows;
    for (const PlanRow& row : backend_->plans()) {
      rows.push_back(fmt::format("{}: {}: {}: {}", row.operation, row.realised_by, row.notes, row.launches));
    }
    return rows;
  }
  std::int64_t bytes() const {  // without the workspace, which any plan may want
    const MemoryUse memory = backend_->memory();
    return memory.allocated - memory.workspace;
  }
  Backend& backend() { return *backend_; }
  const BatchNormTensors& tensors() const { return tensors_; }

 private:
  static DeviceOptions in_fp32(DeviceOptions options) {
    options.precision = Precision::fp32;
    return options;
  }

  void write(const TensorPtr& tensor, const std::vector<double>& values) { backend_->write(*tensor, values); }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ParameterArena> arena_;
  Variable x_;
  BatchNormTensors tensors_;
  OperationPtr operation_;
};

/// Within a few roundings of each sum's 60 terms, whose magnitudes are below 10.
void expect_near(const Placed::Results& actual, const Placed::Results& expected) {
  const auto compare = [](const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 60 * 10 * 0x1p-24) << i;
  };
  compare(actual.y, expected.y);
  compare(actual.dx, expected.dx);
  compare(actual.dweight, expected.dweight);
  compare(actual.dbias, expected.dbias);
  compare(actual.running_mean, expected.running_mean);
  compare(actual.running_var, expected.running_var);
}

constexpr const char* kTraining =
    "batch_norm+relu+max_pool.training of [2, 4, 5, 6]: own kernel: batch norm and max pool: ";
constexpr const char* kBackward =
    "batch_norm+relu+max_pool.backward of [2, 4, 5, 6]: own kernel: batch norm and max pool: ";
constexpr const char* kLayerByLayer = "batch_norm+relu+max_pool of [2, 4, 5, 6]: layer by layer: ";

TEST(BatchNormPool, IsTwoLaunchesEachWayByOwnKernels) {
  std::int64_t fused_bytes = 0;
  Placed::Results results;
  {
    Placed fused({.fuse = true});
    EXPECT_THAT(fused.rows(), ElementsAre(std::string(kTraining) + "deterministic: 2",
                                          std::string(kBackward) + "deterministic: 2"));
    fused_bytes = fused.bytes();
    results = fused.results();
  }
  Placed layers({.fuse = false});
  EXPECT_THAT(layers.rows(),
              ElementsAre(StartsWith("batch_norm+relu.training"), StartsWith("batch_norm+relu.backward"),
                          StartsWith("max_pool.forward"), StartsWith("max_pool.backward")));
  expect_near(results, layers.results());
  // The activation behind the norm and its gradient are not there, but the place and the value of each
  // winner.
  const std::int64_t left_out = 2 * kImages.count() * 4;
  const std::int64_t kept = 2 * 4 * 2 * 3 * 4;
  EXPECT_LE(fused_bytes, layers.bytes() - left_out + kept);
}

TEST(BatchNormPool, IsWhatTheOptionsAndThePoolAllow) {
  const auto fuses = [](const DeviceOptions& options, const MaxPool2d& pool = {}) {
    return make_cuda_backend(options)->fuses(pool);
  };
  EXPECT_TRUE(fuses({}));
  EXPECT_TRUE(fuses({.fuse = true}));
  EXPECT_FALSE(fuses({.fuse = false}));
  EXPECT_TRUE(fuses({.autotune = true}));
  EXPECT_FALSE(fuses({.fuse = false, .autotune = true}));
  EXPECT_FALSE(fuses({.fuse = true}, {.kernel_size = {3, 3}, .stride = {2, 2}}));
  EXPECT_TRUE(fuses({.fuse = true}, {.kernel_size = {15, 17}}));
  EXPECT_FALSE(fuses({.fuse = true}, {.kernel_size = {16, 16}}))
      << "a byte tells no more than 255 taps apart";
}

TEST(BatchNormPool, TakesTheFasterWay) {
  layers_take("300");
  Placed fused({.autotune = true});
  EXPECT_THAT(fused.rows(),
              ElementsAre(AllOf(StartsWith(kTraining), HasSubstr("deterministic, fastest of 2: "),
                                HasSubstr(" ms forward and backward: 2")),
                          AllOf(StartsWith(kBackward), HasSubstr("fastest of 2: "))))
      << "plans that nobody executes are not in the table";
  EXPECT_EQ(fused.results(), Placed({.fuse = true}).results());

  layers_take("1");
  own_kernels_take("300");
  Placed layers({.autotune = true});
  EXPECT_THAT(layers.rows(), Contains(AllOf(StartsWith(kLayerByLayer), HasSubstr("fastest of 2: "))));
  EXPECT_THAT(layers.rows(), Contains(StartsWith("max_pool.backward")));
  EXPECT_EQ(layers.results(), Placed({.fuse = false}).results());
}

TEST(BatchNormPool, KeepsNothingOfTheSlowerWay) {
  const auto bytes = [](const DeviceOptions& options) { return Placed(options).bytes(); };
  layers_take("300");
  EXPECT_EQ(bytes({.autotune = true}), bytes({.fuse = true}));
  layers_take("1");
  own_kernels_take("300");
  EXPECT_EQ(bytes({.autotune = true}), bytes({.fuse = false}));
}

TEST(BatchNormPool, IsTimedWithoutTouchingWhatLives) {
  Placed placed({.autotune = true});
  const auto read = [&](const TensorPtr& tensor) { return placed.backend().read(*tensor); };
  EXPECT_THAT(read(placed.tensors().running_mean), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(read(placed.tensors().running_var), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(read(placed.tensors().weight.grad), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(read(placed.tensors().bias.grad), ElementsAre(9, 10, 11, 12));
}

TEST(BatchNormPool, WhatWasTimedIsKeptInTheCache) {
  const TemporaryFolder folder;
  setenv("SOFTWARE_GPU_TRACE", (folder / "trace").c_str(), 1);
  const auto marks = [&] {
    return std::ranges::count(test::lines(read_file(folder / "trace")), "cudaEventRecord");
  };
  const auto check = [&](const std::string& plans, const char* first, const char* last) {
    const DeviceOptions options{.autotune = true, .plan_cache = folder / plans};
    const Placed::Results cold = Placed(options).results();
    const auto before = marks();
    EXPECT_GT(before, 0);
    unsetenv("SOFTWARE_GPU_ENGINE_MS");  // the choice was made
    unsetenv("SOFTWARE_GPU_KERNEL_MS");
    Placed warm(options);
    EXPECT_EQ(marks(), before) << "nothing is timed again";
    EXPECT_THAT(warm.rows(), Contains(AllOf(StartsWith(first), HasSubstr("from the cache"))));
    EXPECT_THAT(warm.rows(), Contains(StartsWith(last)));
    EXPECT_EQ(warm.results(), cold);
    EXPECT_THAT(Placed({.fuse = true, .plan_cache = folder / plans}).rows(),
                Not(Contains(HasSubstr("cache"))));
  };
  layers_take("300");
  check("fused", kTraining, kBackward);
  own_kernels_take("300");
  check("layers", kLayerByLayer, "max_pool.backward");
}

TEST(BatchNormPool, TakesTheLayersIfNothingCanBeTimed) {
  const TemporaryFolder folder;
  setenv("SOFTWARE_GPU_FAIL", "cudaGraphInstantiate:0:2", 1);
  std::vector<std::string> said;
  Placed placed({.use_cuda_graphs = false,
                 .autotune = true,
                 .plan_cache = folder.path(),
                 .say = [&](const std::string& line, Remedy) { said.push_back(line); }});
  EXPECT_THAT(said, Contains(StartsWith("no way of batch_norm+relu+max_pool of [2, 4, 5, 6] in float32")));
  EXPECT_THAT(placed.rows(), Contains(StartsWith("max_pool.backward")));
  EXPECT_THAT(test::files_under(folder.path()), IsEmpty()) << "what was not measured is not kept";
}

// Of two alike, one is timed, and both are done the same way.
TEST(BatchNormPool, IsTimedOnceForAllAlike) {
  const TemporaryFolder folder;
  setenv("SOFTWARE_GPU_TRACE", (folder / "trace").c_str(), 1);
  const auto marks = [&](int operations) {
    const auto count = [&] {
      return std::ranges::count(test::lines(read_file(folder / "trace")), "cudaEventRecord");
    };
    const auto before = count();
    const auto backend = make_cuda_backend({.precision = Precision::fp32, .autotune = true});
    std::vector<OperationPtr> made;
    const Shape vectors[] = {{4}, {4}};
    const auto arena = backend->make_parameters(vectors, /*with_gradients=*/true);
    for (int i = 0; i < operations; ++i) {
      const Variable x{backend->make_activation(kImages), backend->make_activation(kImages)};
      made.push_back(backend->make_batch_norm_pool(
          {.num_features = 4}, {}, x,
          {arena->variables()[0], arena->variables()[1], backend->make_tensor({4}, DType::float32),
           backend->make_tensor({4}, DType::float32)}));
    }
    backend->prepare();
    for (const OperationPtr& one : made) one->forward(Phase::training);
    return count() - before;
  };
  EXPECT_EQ(marks(2), marks(1));
}

/// The gradients of the ConvNet's first step, by name.
StateDict first_gradients(const DeviceOptions& options) {
  const auto backend = make_cuda_backend(options);
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  BatchTrainer trainer(*backend, model, initial_state(model, 3), {});
  const Dataset data = test::stripes(10);
  trainer.forward(data.pixels, data.normalization);
  trainer.loss(data.labels);
  trainer.backward();
  return trainer.gradients();
}

TEST(BatchNormPool, IsTheSameInANetwork) {
  const StateDict fused = first_gradients({.precision = Precision::fp32, .fuse = true});
  const StateDict layers = first_gradients({.precision = Precision::fp32, .fuse = false});
  ASSERT_EQ(fused.size(), layers.size());
  for (std::size_t i = 0; i < fused.size(); ++i) {
    const auto& [name, expected] = layers[i];
    ASSERT_EQ(fused[i].first, name);
    double largest = 0.0;
    for (const double value : expected.values) largest = std::max(largest, std::abs(value));
    for (std::size_t k = 0; k < expected.values.size(); ++k) {
      // Sums of a few hundred products, in another order: their roundings are random, and so add up to a
      // root.
      EXPECT_NEAR(fused[i].second.values[k], expected.values[k], 0x1p-23 * 32 * largest) << name;
    }
  }
}

class FusedTraining : public testing::TestWithParam<Precision> {};

TEST_P(FusedTraining, TellsStripesApart) {
  const test::Trained fused = test::train_on_stripes({.precision = GetParam(), .fuse = true});
  EXPECT_EQ(fused.evaluation.accuracy, 1.0);
  EXPECT_EQ(fused.state, test::train_on_stripes({.precision = GetParam(), .fuse = true}).state)
      << "the same bits in every run";
}

INSTANTIATE_TEST_SUITE_P(, FusedTraining, testing::Values(Precision::fp32, Precision::bf16),
                         test::precision_name);

}  // namespace
}  // namespace convoy
