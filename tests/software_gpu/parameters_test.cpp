// The memory order of parameters: a Linear behind a Flatten chooses it, and whatever lies beside the values
// follows.
#include "engine/backend/cuda/runtime/parameters.h"

#include <gmock/gmock.h>

#include <numeric>

#include "convoy/error.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kOut = 2, kChannels = 3, kPlane = 4;
const Linear kLinear{.in_features = kChannels * kPlane, .out_features = kOut, .bias = false};

std::vector<double> counted(std::int64_t count, double first) {
  std::vector<double> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), first);
  return values;
}

class ParameterOrder : public testing::TestWithParam<Precision> {
 protected:
  void make_linear(const Shape& images) {
    const Variable x = backend_.flatten({backend_.make_activation(images), nullptr});
    operations_.push_back(backend_.make_linear(kLinear, x, weight(), {}));
  }
  const Variable& weight() const { return arena_->variables()[1]; }
  const DeviceParameters& parameters() const { return dynamic_cast<DeviceParameters&>(*arena_); }

  CudaBackend backend_{DeviceOptions{.precision = GetParam()}};
  const std::vector<Shape> shapes_ = {{5}, {kOut, kChannels* kPlane}, {2, 3}};
  std::unique_ptr<ParameterArena> arena_ = backend_.make_parameters(shapes_, true);
  std::vector<OperationPtr> operations_;
};

TEST_P(ParameterOrder, AnOptimizersStateFollowsTheParameter) {
  const auto bytes = static_cast<std::size_t>(parameters().count()) * sizeof(float);
  const auto moments = std::make_shared<const Buffer>(bytes);
  const std::vector<TensorPtr> state = parameters().tensors_over(moments);
  ASSERT_EQ(state.size(), shapes_.size());
  const std::vector<double> values = counted(24, 1), gradients = counted(24, 101), moment = counted(24, 51);
  backend_.write(*weight().value, values);
  backend_.write(*weight().grad, gradients);
  backend_.write(*state[1], moment);
  backend_.write(*state[2], counted(6, 1));

  make_linear({7, kChannels, 2, 2});
  EXPECT_EQ(device(weight().value).order(), (MemoryOrder{kChannels, kPlane}));
  EXPECT_EQ(backend_.read(*weight().value), values);
  EXPECT_EQ(backend_.read(*weight().grad), gradients);
  EXPECT_EQ(compute_copy(weight().value).read(nullptr), values);
  EXPECT_EQ(backend_.read(*state[1]), moment);
  EXPECT_EQ(backend_.read(*state[2]), counted(6, 1)) << "the neighbour stays";
  EXPECT_EQ(backend_.read(*parameters().tensors_over(moments)[1]), moment) << "a later view knows the order";
  std::vector<float> raw(24);
  const DeviceTensor& moved = device(state[1]);
  CONVOY_CUDA(cudaMemcpy(raw.data(), moved.data(), moved.bytes(), cudaMemcpyDeviceToHost));
  EXPECT_EQ(std::vector<float>(raw.begin(), raw.begin() + 4), (std::vector<float>{51, 55, 59, 52}))
      << "the channels of a pixel lie side by side";

  make_linear({3, kChannels, 4, 1});  // another batch size, the same order
  EXPECT_EQ(backend_.read(*state[1]), moment);
}

TEST_P(ParameterOrder, OneWeightHasOneOrder) {
  make_linear({2, kChannels, 2, 2});
  try {
    make_linear({2, 2, 3, 2});
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("[2, 12]"));
  }
}

TEST_P(ParameterOrder, OnlyParametersCanBeReordered) {
  const Variable x = backend_.flatten({backend_.make_activation({2, 3, 2, 2}), nullptr});
  const Variable loose{backend_.make_activation({2, 12}), nullptr};
  EXPECT_THROW(backend_.make_linear(kLinear, x, loose, {}), UsageError);
  const Variable rows{backend_.make_activation({2, 12}), nullptr};
  EXPECT_NO_THROW(backend_.make_linear(kLinear, rows, loose, {}));
}

TEST(ParameterTypes, EveryOperandHasTheTypeThatTheOperationReads) {
  CudaBackend backend(DeviceOptions{.precision = Precision::bf16});
  const auto real = [&](const Shape& shape) {
    return Variable{backend.make_tensor(shape, DType::float32), nullptr};
  };
  const auto stored = [&](const Shape& shape) { return Variable{backend.make_activation(shape), nullptr}; };
  const auto refused = [](const auto& make, const std::string& what) {
    try {
      make();
      ADD_FAILURE() << what << " was accepted";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr(what));
    }
  };
  const auto parameters = backend.make_parameters(std::vector<Shape>{{2, 12}, {2}}, true);
  const Variable& weight = parameters->variables()[0];
  const Variable& bias = parameters->variables()[1];
  const Linear linear{.in_features = 12, .out_features = 2};
  EXPECT_NO_THROW(backend.make_linear(linear, stored({3, 12}), weight, bias));
  refused([&] { backend.make_linear(linear, real({3, 12}), weight, bias); }, "Linear: input [3, 12]");
  refused(
      [&] {
        backend.make_linear(linear, stored({3, 12}), real({2, 12}), bias);
      },
      "Linear: weight [2, 12]");
  refused([&] { backend.make_linear(linear, stored({3, 12}), weight, real({2})); }, "Linear: bias [2]");
  refused([&] { backend.make_relu(real({3, 12})); }, "ReLU: input [3, 12] is not a tensor of bfloat16");
  refused([&] { backend.make_add(stored({3, 12}), real({3, 12})); }, "add: second input");

  const BatchNorm2d norm{.num_features = 4};
  const Variable x = stored({2, 4, 3, 3}), vector = real({4});
  EXPECT_NO_THROW(backend.make_batch_norm(norm, false, x, {vector, vector, vector.value, vector.value}));
  refused(
      [&] {
        backend.make_batch_norm(norm, false, x, {vector, vector, nullptr, vector.value});
      },
      "BatchNorm2d: running mean is missing");
  refused(
      [&] {
        backend.make_batch_norm(norm, false, x, {vector, vector, vector.value, stored({4}).value});
      },
      "BatchNorm2d: running variance [4] is not a tensor of float32");
}

TEST_P(ParameterOrder, AGradientLiesAsItsValue) {
  const Variable x{backend_.make_activation({2, 3, 2, 2}), nullptr};
  const Variable mixed{backend_.flatten(x).value, backend_.make_activation({2, 12})};
  EXPECT_THROW(backend_.make_relu(mixed), UsageError);
}

INSTANTIATE_TEST_SUITE_P(, ParameterOrder, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& instance) {
                           return std::string(instance.param == Precision::fp32 ? "fp32" : "bf16");
                         });

}  // namespace
}  // namespace convoy::cuda
