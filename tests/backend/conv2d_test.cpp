// Convolution on every backend: by hand, against PyTorch, exactly on integers, and within rounding on reals.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engine/model/layer_rules.h"
#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Conv2dTest : public BackendTest {};

struct ConvCase {
  const char* name;
  Shape x;
  Conv2d layer;

  Shape weight() const { return weight_shape(layer); }

  /// Integers of at most 3, and weight and bias likewise: sums of their products are exact.
  LayerInput integers() const {
    LayerInput input{small_integers(x, 3, 1), {small_integers(weight(), 3, 2)}, [](const Shape& shape) {
                       return small_integers(shape, 3, 3);
                     }};
    if (layer.bias) input.parameters.push_back(small_integers({layer.out_channels}, 3, 4));
    return input;
  }
};

std::vector<ConvCase> conv_cases() {
  return {
      {"one channel", {1, 1, 5, 5}, {.in_channels = 1, .out_channels = 1, .kernel_size = {3, 3}}},
      {"first of the ConvNet",
       {3, 1, 28, 28},
       {.in_channels = 1, .out_channels = 16, .kernel_size = {5, 5}, .padding = {2, 2}}},
      {"second of the ConvNet",
       {2, 16, 14, 14},
       {.in_channels = 16, .out_channels = 32, .kernel_size = {5, 5}, .padding = {2, 2}}},
      {"17 to 33 channels",
       {2, 17, 7, 6},
       {.in_channels = 17, .out_channels = 33, .kernel_size = {3, 3}, .padding = {1, 1}}},
      {"1x1, 33 to 3 channels, no bias",
       {2, 33, 5, 9},
       {.in_channels = 33, .out_channels = 3, .bias = false}},
      {"1x1 with stride", {3, 3, 7, 8}, {.in_channels = 3, .out_channels = 17, .stride = {2, 3}}},
      {"kernel as large as the input",
       {3, 3, 4, 6},
       {.in_channels = 3, .out_channels = 5, .kernel_size = {4, 6}}},
      {"non-square",
       {2, 3, 9, 7},
       {.in_channels = 3, .out_channels = 4, .kernel_size = {3, 5}, .stride = {2, 1}, .padding = {1, 2}}},
      {"stride that leaves rows unread",
       {1, 2, 8, 8},
       {.in_channels = 2, .out_channels = 3, .kernel_size = {2, 2}, .stride = {3, 3}}},
      {"dilation",
       {2, 3, 11, 10},
       {.in_channels = 3, .out_channels = 2, .kernel_size = {3, 2}, .dilation = {2, 3}}},
      {"windows of padding only",
       {1, 1, 3, 3},
       {.in_channels = 1, .out_channels = 2, .kernel_size = {2, 2}, .padding = {2, 2}}},
      {"padding far beyond the kernel's reach",
       {2, 3, 4, 5},
       {.in_channels = 3,
        .out_channels = 4,
        .kernel_size = {3, 2},
        .stride = {2, 1},
        .padding = {9, 5},
        .dilation = {2, 1}}},
      {"two groups",
       {2, 6, 6, 5},
       {.in_channels = 6, .out_channels = 4, .kernel_size = {3, 3}, .padding = {1, 1}, .groups = 2}},
      {"groups of 16 and 32 channels",
       {2, 32, 6, 5},
       {.in_channels = 32, .out_channels = 64, .kernel_size = {3, 3}, .padding = {1, 1}, .groups = 2}},
      {"depthwise",
       {2, 17, 6, 7},
       {.in_channels = 17, .out_channels = 17, .kernel_size = {3, 3}, .padding = {1, 1}, .groups = 17}},
      {"depthwise with two outputs a channel",
       {2, 3, 8, 8},
       {.in_channels = 3, .out_channels = 6, .kernel_size = {3, 3}, .stride = {2, 2}, .groups = 3}},
      {"everything at once",
       {3, 6, 13, 11},
       {.in_channels = 6,
        .out_channels = 9,
        .kernel_size = {3, 2},
        .stride = {2, 3},
        .padding = {2, 1},
        .dilation = {2, 1},
        .groups = 3}},
  };
}

MakeOperation conv(const Conv2d& layer, bool fuse_relu = false) {
  return [=](Backend& backend, const Variable& x, const Variable& weight, const Variable& bias) {
    return backend.make_conv2d(layer, fuse_relu, x, weight, bias);
  };
}

TEST_P(Conv2dTest, OneWindowByHand) {
  // x = 1 2 3   w = 1 0  b = 10: y[0][0] = 1 + 2 * 5 + 10 = 21, and so on; dy = 1 everywhere.
  //     4 5 6       0 2
  const LayerInput input{{{1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}},
                         {{{1, 1, 2, 2}, {1, 0, 0, 2}}, {{1}, {10}}},
                         [](const Shape& shape) {
                           return HostTensor{shape, {1, 1}};
                         }};
  const LayerRun run =
      run_layer(backend(), input, conv({.in_channels = 1, .out_channels = 1, .kernel_size = {2, 2}}));
  EXPECT_EQ(run.shape, (Shape{1, 1, 1, 2}));
  EXPECT_THAT(run.output, Exactly({21, 24}));
  EXPECT_THAT(run.x_grad, Exactly({1, 1, 0, 0, 2, 2}));
  EXPECT_THAT(run.parameter_grads[0], Exactly({3, 5, 9, 11}));
  EXPECT_THAT(run.parameter_grads[1], Exactly({2}));
}

HostTensor counting(const Shape& shape, int modulus, int offset) {
  HostTensor tensor = zeros(shape);
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    tensor.values[i] = static_cast<double>(i % static_cast<std::size_t>(modulus)) + offset;
  }
  return tensor;
}

TEST_P(Conv2dTest, AgreesWithPyTorch) {
  // x = torch.arange(60).reshape(1, 2, 5, 6) % 7;  w = torch.arange(24).reshape(4, 1, 3, 2) % 5 - 2
  // y = F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)
  // y.backward(torch.arange(96).reshape(1, 4, 3, 8) % 3 - 1)
  const LayerInput input{counting({1, 2, 5, 6}, 7, 0),
                         {counting({4, 1, 3, 2}, 5, -2), {{4}, {1, -1, 2, -2}}},
                         [](const Shape& shape) { return counting(shape, 3, -1); }};
  const LayerRun run = run_layer(backend(), input,
                                 conv({.in_channels = 2,
                                       .out_channels = 4,
                                       .kernel_size = {3, 2},
                                       .stride = {2, 1},
                                       .padding = {1, 2},
                                       .dilation = {1, 2},
                                       .groups = 2}));
  EXPECT_EQ(run.shape, (Shape{1, 4, 3, 8}));
  EXPECT_THAT(run.output,
              Exactly({-11, 2, 13, 0,  1,  2,   7,   9,  -8, -3, -16, 10,  8,  -8, -3,  -3, 0,   0,  -8,  -3,
                       -12, 0, -1, -3, -7, 1,   -10, 4,  4,  4,  -3,  -4,  5,  6,  -16, -3, -11, 2,  -4,  -6,
                       5,   7, 8,  10, -2, 7,   -2,  -2, -2, -4, -3,  -4,  -5, 8,  9,   -4, 3,   2,  -5,  2,
                       2,   2, 7,  8,  -2, -10, 13,  14, 1,  2,  6,   8,   -3, -3, -7,  -9, -11, -6, -14, -2,
                       6,   1, 4,  5,  6,  7,   -5,  -6, 5,  -8, -4,  -11, 3,  3,  -3,  -4}));
  EXPECT_THAT(run.x_grad,
              Exactly({-2, -1, 3,  -2, -1, 3,  2,  -2, 0, 2,  -2, 0, 3,  -2, -1, 3,  -2, -1, 0,  2,
                       -2, 0,  2,  -2, -1, 3,  -2, -1, 3, -2, 3,  0, -3, 3,  0,  -3, 1,  -1, 0,  1,
                       -1, 0,  -3, 3,  0,  -3, 3,  0,  0, 1,  -1, 0, 1,  -1, 0,  -3, 3,  0,  -3, 3}));
  EXPECT_THAT(run.parameter_grads[0],
              Exactly({2, 3, 0, 0, 3, -5, 2, 3, 0, 0, 3, -5, -5, -4, -7, 0, -4, 9, -5, -4, -7, 0, -4, 9}));
  EXPECT_THAT(run.parameter_grads[1], Exactly({0, 0, 0, 0}));
}

// The longest sum is 3 * 28 * 28 products of at most 9, far below 2^24.
TEST_P(Conv2dTest, IsExactOnIntegers) {
  for (const ConvCase& c : conv_cases()) {
    SCOPED_TRACE(c.name);
    const LayerInput input = c.integers();
    expect_equal(run_layer(backend(), input, conv(c.layer)), run_layer(truth(), input, conv(c.layer)));
  }
}

TEST_P(Conv2dTest, IsWithinRoundingOnReals) {
  for (const ConvCase& c : conv_cases()) {
    SCOPED_TRACE(c.name);
    LayerInput input{
        normals(c.x, 1), {normals(c.weight(), 2)}, [](const Shape& shape) { return normals(shape, 3); }};
    if (c.layer.bias) input.parameters.push_back(normals({c.layer.out_channels}, 4));
    const LayerRun expected = run_layer(truth(), input, conv(c.layer));
    const std::int64_t taps = c.layer.kernel_size[0] * c.layer.kernel_size[1];
    const std::int64_t positions = expected.shape[0] * expected.shape[2] * expected.shape[3];
    expect_near(run_layer(backend(), input, conv(c.layer)), expected,
                {.output = sum_tolerance(taps * c.layer.in_channels / c.layer.groups + 1),
                 .x_grad = sum_tolerance(taps * c.layer.out_channels / c.layer.groups),
                 .parameter_grads = {sum_tolerance(positions), sum_tolerance(positions)}});
  }
}

/// A convolution with its ReLU, and nothing that has a gradient.
Values with_relu(Backend& backend, const Conv2d& layer, const LayerInput& input) {
  const auto arena = place_parameters(backend, input.parameters, /*with_gradients=*/false);
  const auto p = arena->variables();
  const OperationPtr operation = backend.make_conv2d(
      layer, /*fuse_relu=*/true, place(backend, input.x, false), p[0], layer.bias ? p[1] : Variable{});
  EXPECT_EQ(operation->output().grad, nullptr);
  backend.prepare();
  operation->forward(Phase::evaluation);
  operation->backward();  // nothing to do
  return backend.read(*operation->output().value);
}

/// A convolution and a ReLU, one after the other.
LayerRun run_pair(Backend& backend, const Conv2d& layer, const LayerInput& input) {
  const Variable x = place(backend, input.x);
  const auto arena = place_parameters(backend, input.parameters);
  const auto p = arena->variables();
  const OperationPtr convolution =
      backend.make_conv2d(layer, /*fuse_relu=*/false, x, p[0], layer.bias ? p[1] : Variable{});
  const OperationPtr relu = backend.make_relu(convolution->output());
  convolution->forward(Phase::training);
  relu->forward(Phase::training);
  const Variable& y = relu->output();
  backend.write(*y.grad, input.upstream(y.value->shape()).values);
  relu->backward();
  convolution->backward();
  LayerRun run{y.value->shape(), backend.read(*y.value), backend.read(*x.grad), {}};
  for (const Variable& parameter : p) run.parameter_grads.push_back(backend.read(*parameter.grad));
  return run;
}

TEST_P(Conv2dTest, WithItsReluIsThePair) {
  for (const ConvCase& c : conv_cases()) {
    SCOPED_TRACE(c.name);
    const LayerInput input = c.integers();
    const LayerRun pair = run_pair(truth(), c.layer, input);
    EXPECT_THAT(pair.output, testing::Contains(0.0)) << "the ReLU has nothing to do";
    expect_equal(run_layer(backend(), input, conv(c.layer, /*fuse_relu=*/true)), pair);
    EXPECT_THAT(with_relu(backend(), c.layer, input), Exactly(pair.output));
  }
}

// Whoever else shares the memory of the output's gradient finds it as it was.
TEST_P(Conv2dTest, WithItsReluLeavesTheGradientOfItsOutputAlone) {
  const Conv2d layer{.in_channels = 4, .out_channels = 8, .kernel_size = {3, 3}, .bias = false};
  const auto arena = place_parameters(backend(), {small_integers({8, 4, 3, 3}, 3, 2)});
  const OperationPtr operation = backend().make_conv2d(
      layer, true, place(backend(), small_integers({2, 4, 6, 6}, 3, 1)), arena->variables()[0], {});
  backend().prepare();
  operation->forward(Phase::training);
  const HostTensor upstream = small_integers({2, 8, 4, 4}, 3, 3);
  backend().write(*operation->output().grad, upstream.values);
  operation->backward();
  EXPECT_THAT(backend().read(*operation->output().grad), Exactly(upstream.values));
}

TEST_P(Conv2dTest, WithItsReluComputesTheGradientsThatAreWanted) {
  const Conv2d layer{.in_channels = 4, .out_channels = 8, .kernel_size = {3, 3}};
  const LayerInput input = ConvCase{"", {2, 4, 6, 6}, layer}.integers();
  const LayerRun all = run_pair(truth(), layer, input);
  for (const int wanted : {0, 1, 2}) {
    SCOPED_TRACE(wanted);
    const auto arena = place_parameters(backend(), input.parameters);
    const Variable inputs[] = {place(backend(), input.x), arena->variables()[0], arena->variables()[1]};
    const auto given = [&](int i) {
      return Variable{inputs[i].value, i == wanted ? inputs[i].grad : nullptr};
    };
    const OperationPtr operation = backend().make_conv2d(layer, true, given(0), given(1), given(2));
    backend().prepare();
    operation->forward(Phase::training);
    backend().write(*operation->output().grad, input.upstream(all.shape).values);
    operation->backward();
    EXPECT_THAT(
        backend().read(*inputs[wanted].grad),
        Exactly(wanted == 0 ? all.x_grad : all.parameter_grads[static_cast<std::size_t>(wanted - 1)]));
  }
}

TEST_P(Conv2dTest, ItsReluPassesANaNOn) {
  if (backend().name() == "cuda") {
    GTEST_SKIP() << "cuDNN does not promise that of a ReLU in its graphs (see engine/backend/README.md)";
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LayerInput input{{{1, 1, 1, 3}, {nan, 2, -3}},
                         {{{2, 1, 1, 1}, {1, -1}}, {{2}, {0, 0}}},
                         [](const Shape& shape) { return counting(shape, 6, 1); }};
  const Conv2d layer{.in_channels = 1, .out_channels = 2};
  EXPECT_THAT(with_relu(backend(), layer, input), Exactly({nan, 2, 0, nan, 0, 3}));
  const LayerRun run = run_layer(backend(), input, conv(layer, /*fuse_relu=*/true));
  EXPECT_THAT(run.output, Exactly({nan, 2, 0, nan, 0, 3}));
  EXPECT_THAT(run.x_grad, Exactly({1 - 4, 2, -6})) << "a NaN's gradient passes, too";
}

struct BadConv {
  const char* name;
  Conv2d layer;
  Shape x, weight, bias;
  std::vector<const char*> named;
};

TEST_P(Conv2dTest, RefusesShapesThatDoNotFit) {
  const Conv2d good{.in_channels = 3, .out_channels = 4, .kernel_size = {3, 3}};
  Conv2d too_large = good, no_stride = good, groups = good, huge = good;
  too_large.kernel_size = {3, 9};
  no_stride.stride = {0, 1};
  groups.groups = 2;
  huge.dilation = {std::int64_t{1} << 62, 1};
  const Shape x{2, 3, 8, 8}, weight{4, 3, 3, 3}, bias{4};
  const BadConv cases[] = {
      {"channels", good, {2, 5, 8, 8}, weight, bias, {"[2, 5, 8, 8]", "weight [4, 3, 3, 3]"}},
      {"rank", good, {2, 192}, weight, bias, {"[2, 192]", "[N, C, H, W]"}},
      {"no images", good, {0, 3, 8, 8}, weight, bias, {"[0, 3, 8, 8]", "[N, C, H, W]"}},
      {"weight", good, x, {4, 3, 3, 5}, bias, {"[4, 3, 3, 5]", "[4, 3, 3, 3]"}},
      {"bias", good, x, weight, {3}, {"[3]", "[4]"}},
      {"kernel larger than the input", too_large, x, {4, 3, 3, 9}, bias, {"[3, 9]", "[2, 3, 8, 8]"}},
      {"stride 0", no_stride, x, weight, bias, {"stride is [0, 1]"}},
      {"groups", groups, x, {4, 1, 3, 3}, bias, {"groups 2", "in_channels 3"}},
      {"dilation that overflows", huge, x, weight, bias, {"4611686018427387904"}},
  };
  for (const BadConv& c : cases) {
    SCOPED_TRACE(c.name);
    const Variable input = place(backend(), zeros(c.x));
    const auto arena = place_parameters(backend(), {zeros(c.weight), zeros(c.bias)});
    const std::string message = usage_error(
        [&] { backend().make_conv2d(c.layer, false, input, arena->variables()[0], arena->variables()[1]); });
    EXPECT_THAT(message, HasSubstr("Conv2d"));
    for (const char* named : c.named) EXPECT_THAT(message, HasSubstr(named));
  }
}

TEST_P(Conv2dTest, WantsABiasExactlyIfTheLayerHasOne) {
  Conv2d layer{.in_channels = 1, .out_channels = 2};
  const Variable x = place(backend(), zeros({1, 1, 2, 2}));
  const auto arena = place_parameters(backend(), {zeros({2, 1, 1, 1}), zeros({2})});
  const auto parameters = arena->variables();
  EXPECT_THAT(usage_error([&] { backend().make_conv2d(layer, false, x, parameters[0], {}); }),
              HasSubstr("bias"));
  layer.bias = false;
  EXPECT_THAT(usage_error([&] { backend().make_conv2d(layer, false, x, parameters[0], parameters[1]); }),
              AllOf(HasSubstr("bias"), HasSubstr("[2]")));
}

INSTANTIATE_TEST_SUITE_P(, Conv2dTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
