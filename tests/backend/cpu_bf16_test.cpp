// The CPU backend in bf16. What lies in memory is rounded to 8 bits, 2^-9 of each number at most; inputs here
// have no more, so what is computed from them in floats is as exact as in fp32 until it is stored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <iostream>

#include "convoy/error.h"
#include "engine/backend/cpu/cpu.h"
#include "engine/backend/reference/reference.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::HasSubstr;

constexpr double kRounded = 0x1p-8;  // twice what one rounding does
constexpr double kFloat = 0x1p-23;

/// Null, if this CPU refuses bf16: then `why` says so.
std::unique_ptr<Backend> bf16_backend(std::string& why) {
  try {
    return make_cpu_backend({.precision = Precision::bf16});
  } catch (const Error& error) {
    why = error.what();
    if (why.find("this CPU has no bf16 instructions") == std::string::npos) throw;
    return nullptr;
  }
}

class CpuBf16 : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    backend_ = bf16_backend(why);
    if (!backend_) GTEST_SKIP() << why;
  }
  Backend& backend() { return *backend_; }
  Backend& truth() { return *truth_; }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Backend> truth_ = make_double_reference_backend();
};

/// Numbers of 8 bits, some of them equal.
HostTensor coarse(const Shape& shape, std::uint64_t seed) {
  HostTensor tensor = small_integers(shape, 100, seed);
  for (double& value : tensor.values) value /= 32.0;
  return tensor;
}

TEST_F(CpuBf16, SaysWhatItIs) {
  EXPECT_THAT(backend().description(), testing::EndsWith(", bf16"));
  EXPECT_EQ(backend().epsilon(), 0x1p-7);
  EXPECT_EQ(make_cpu_backend()->epsilon(), kFloat);
}

// The numbers in a tensor are rounded, and only an activation's.
TEST_F(CpuBf16, StoresActivationsRoundedAndParametersNot) {
  const double value = 1.0 + 0x1p-8 + 0x1p-20;
  const TensorPtr activation = backend().make_activation({2, 3});
  backend().write(*activation, Values(6, value));
  EXPECT_THAT(backend().read(*activation), Exactly(Values(6, 1.0 + 0x1p-7)));
  const TensorPtr statistic = backend().make_tensor({6}, DType::float32);
  backend().write(*statistic, Values(6, value));
  EXPECT_THAT(backend().read(*statistic), Exactly(Values(6, value)));
}

// Every sum of these products is exact in floats: nothing is rounded but what is stored, and the gradients of
// the parameters are floats.
TEST_F(CpuBf16, ConvolutionsAreExactUntilTheyAreStored) {
  const Conv2d layers[] = {
      {.in_channels = 1, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}},  // in floats
      {.in_channels = 3, .out_channels = 8, .kernel_size = {3, 3}, .stride = {2, 2}},
      {.in_channels = 16, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}},
      {.in_channels = 17, .out_channels = 19, .kernel_size = {3, 2}, .padding = {1, 0}},
      {.in_channels = 32, .out_channels = 48, .kernel_size = {3, 3}, .groups = 2},
      {.in_channels = 32, .out_channels = 32, .kernel_size = {3, 3}, .padding = {1, 1}, .groups = 32},
  };
  for (const Conv2d& layer : layers) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(testing::Message()
                   << layer.in_channels << " to " << layer.out_channels << (relu ? ", ReLU" : ""));
      const LayerInput input{
          .x = small_integers({3, layer.in_channels, 10, 12}, 4, 1),
          .parameters = {small_integers({layer.out_channels, layer.in_channels / layer.groups,
                                         layer.kernel_size[0], layer.kernel_size[1]},
                                        4, 2),
                         small_integers({layer.out_channels}, 4, 3)},
          .upstream = [](const Shape& shape) { return small_integers(shape, 4, 4); }};
      const auto make = [&](Backend& on, const Variable& x, const Variable& weight, const Variable& bias) {
        return on.make_conv2d(layer, relu, x, weight, bias);
      };
      expect_near(run_layer(backend(), input, make), run_layer(truth(), input, make),
                  {kRounded, kRounded, {0.0, 0.0}});
    }
  }
}

TEST_F(CpuBf16, LinearLayersAreExactUntilTheyAreStored) {
  const LayerInput input{.x = small_integers({7, 90}, 4, 1),
                         .parameters = {small_integers({10, 90}, 4, 2), small_integers({10}, 4, 3)},
                         .upstream = [](const Shape& shape) { return small_integers(shape, 4, 4); }};
  const auto make = [](Backend& on, const Variable& x, const Variable& weight, const Variable& bias) {
    return on.make_linear({.in_features = 90, .out_features = 10}, x, weight, bias);
  };
  expect_near(run_layer(backend(), input, make), run_layer(truth(), input, make),
              {kRounded, kRounded, {0.0, 0.0}});
}

/// A layer behind a convolution that changes nothing, but for the layout.
struct Chain {
  Chain(Backend& on, const Shape& shape, bool pooled) : backend(on) {
    const std::int64_t channels = shape[1];
    HostTensor unit{{channels, channels, 1, 1}, Values(static_cast<std::size_t>(channels * channels))};
    for (std::int64_t c = 0; c < channels; ++c) unit.values[static_cast<std::size_t>(c * channels + c)] = 1.0;
    x = place(backend, coarse(shape, 1));
    arena = place_parameters(backend, {unit, normals({channels}, 2), normals({channels}, 3)});
    conv = backend.make_conv2d(
        {.in_channels = channels, .out_channels = channels, .kernel_size = {1, 1}, .bias = false}, false, x,
        arena->variables()[0], {});
    const BatchNormTensors tensors{
        arena->variables()[1], arena->variables()[2],
        place(backend, HostTensor{{channels}, Values(static_cast<std::size_t>(channels))}, false).value,
        place(backend, HostTensor{{channels}, Values(static_cast<std::size_t>(channels))}, false).value};
    const BatchNorm2d layer{.num_features = channels};
    norm = pooled ? backend.make_batch_norm_pool(layer, {}, conv->output(), tensors)
                  : backend.make_batch_norm(layer, /*fuse_relu=*/true, conv->output(), tensors);
    backend.prepare();
  }

  Values forward(Phase phase) {
    conv->forward(phase);
    norm->forward(phase);
    return backend.read(*norm->output().value);
  }
  void backward() {
    backend.write(*norm->output().grad, coarse(norm->output().value->shape(), 9).values);
    norm->backward();
    conv->backward();
  }
  Values gradient(std::size_t parameter) { return backend.read(*arena->variables()[parameter].grad); }

  Backend& backend;
  Variable x;
  std::unique_ptr<ParameterArena> arena;
  OperationPtr conv, norm;
};

TEST_F(CpuBf16, BatchNormSumsInFloats) {
  for (const bool pooled : {false, true}) {
    for (const Shape& shape :
         {Shape{4, 16, 28, 28}, {4, 32, 14, 14}, {3, 17, 7, 9}, {2, 8, 6, 6}, {5, 3, 8, 4}}) {
      SCOPED_TRACE(shape.str() + (pooled ? ", pooled" : ""));
      Chain actual(backend(), shape, pooled), expected(truth(), shape, pooled);
      // As in BatchNormPoolTest: of a channel of M elements two sums, and a few roundings of values near 1.
      const double sums = kFloat * (8 + 4 * std::sqrt(static_cast<double>(shape[0] * shape[2] * shape[3])));
      EXPECT_THAT(actual.forward(Phase::training),
                  RelativelyNear(expected.forward(Phase::training), kRounded));
      actual.backward();
      expected.backward();
      EXPECT_THAT(actual.gradient(1), RelativelyNear(expected.gradient(1), sums)) << "weight";
      EXPECT_THAT(actual.gradient(2), RelativelyNear(expected.gradient(2), sums)) << "bias";
      EXPECT_THAT(backend().read(*actual.x.grad), RelativelyNear(truth().read(*expected.x.grad), kRounded));
      EXPECT_THAT(actual.forward(Phase::evaluation),
                  RelativelyNear(expected.forward(Phase::evaluation), kRounded));
    }
  }
}

TEST_F(CpuBf16, PassesANanOn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const bool pooled : {false, true}) {
    Chain chain(backend(), {2, 16, 4, 4}, pooled);
    Values x = coarse({2, 16, 4, 4}, 1).values;
    x[5] = nan;  // a convolution of one pixel takes it to all channels of that pixel
    backend().write(*chain.x.value, x);
    const Values y = chain.forward(Phase::training);
    EXPECT_TRUE(std::ranges::all_of(y, [](double value) { return std::isnan(value); }));
  }
}

TEST(CpuBf16Refusal, NamesWhatTheCpuLacks) {
  EXPECT_THAT(usage_error([] { make_cpu_backend({.precision = Precision::tf32}); }),
              HasSubstr("cpu: it knows no tf32, take fp32 or bf16"));
  // oneDNN reads its limit once, so in a process of its own.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto refuse = [] {
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    try {
      make_cpu_backend({.precision = Precision::bf16});
    } catch (const Error& error) {
      std::cerr << error.what();
      std::exit(3);
    }
    std::exit(0);
  };
  EXPECT_EXIT(refuse(), testing::ExitedWithCode(3),
              "cpu: this CPU has no bf16 instructions \\(AVX-512 BF16 or AMX\\): take fp32");
}

}  // namespace
}  // namespace convoy
