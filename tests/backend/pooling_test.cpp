// Max and average pooling on every backend: ties, padding, NaN.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PoolingTest : public BackendTest {};

MakeOperation pool(const MaxPool2d& layer) {
  return [layer](Backend& backend, const Variable& x, const Variable&, const Variable&) {
    return backend.make_max_pool(layer, x);
  };
}

MakeOperation pool(const AvgPool2d& layer) {
  return [layer](Backend& backend, const Variable& x, const Variable&, const Variable&) {
    return backend.make_avg_pool(layer, x);
  };
}

HostTensor counting_from_one(const Shape& shape) {
  HostTensor tensor = zeros(shape);
  for (std::size_t i = 0; i < tensor.values.size(); ++i) tensor.values[i] = static_cast<double>(i + 1);
  return tensor;
}

// x.backward(torch.arange(1, 13)) through windows of 3x2, stride (2, 1), padding (1, 1)
LayerInput pytorch_input() {
  return {{{1, 1, 4, 5}, {3, 1, 3, -5, 2, 3, 0, 3, -5, 2, -1, -2, -3, -4, -5, 1, 1, 1, 1, 1}},
          {},
          counting_from_one};
}

TEST_P(PoolingTest, MaxAgreesWithPyTorch) {  // F.max_pool2d(x, (3, 2), (2, 1), (1, 1)): full of ties
  const LayerRun run = run_layer(backend(), pytorch_input(),
                                 pool(MaxPool2d{.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}}));
  EXPECT_EQ(run.shape, (Shape{1, 1, 2, 6}));
  EXPECT_THAT(run.output, Exactly({3, 3, 3, 3, 2, 2, 3, 3, 3, 3, 2, 2}));
  EXPECT_THAT(run.x_grad, Exactly({3, 0, 7, 0, 11, 15, 0, 19, 0, 23, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_P(PoolingTest, AverageAgreesWithPyTorch) {  // F.avg_pool2d(x, (3, 2), (2, 1), (1, 1))
  const LayerRun run = run_layer(backend(), pytorch_input(),
                                 pool(AvgPool2d{.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}}));
  const double sixth = 1.0 / 6, allowed = 4 * backend().epsilon();
  EXPECT_THAT(run.output, RelativelyNear({1, 7 * sixth, 7 * sixth, -4 * sixth, -1, 4 * sixth, 0.5, 2 * sixth,
                                          0, -7 * sixth, -10 * sixth, -2 * sixth},
                                         allowed));
  EXPECT_THAT(run.x_grad, RelativelyNear({3 * sixth,  5 * sixth,  7 * sixth,  9 * sixth,  11 * sixth,
                                          18 * sixth, 22 * sixth, 26 * sixth, 30 * sixth, 34 * sixth,
                                          15 * sixth, 17 * sixth, 19 * sixth, 21 * sixth, 23 * sixth,
                                          15 * sixth, 17 * sixth, 19 * sixth, 21 * sixth, 23 * sixth},
                                         allowed));
}

TEST_P(PoolingTest, AverageWithoutPaddingAgreesWithPyTorch) {  // likewise, count_include_pad=False
  const LayerRun run =
      run_layer(backend(), pytorch_input(),
                pool(AvgPool2d{
                    .kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}, .count_include_pad = false}));
  const double allowed = 4 * backend().epsilon();
  EXPECT_THAT(
      run.output,
      RelativelyNear({3, 1.75, 1.75, -1, -1.5, 2, 1, 1.0 / 3, 0, -7.0 / 6, -5.0 / 3, -2.0 / 3}, allowed));
  EXPECT_THAT(run.x_grad, RelativelyNear({1,
                                          1.25,
                                          1.75,
                                          2.25,
                                          4.25,
                                          4.666666666666667,
                                          4.083333333333333,
                                          4.916666666666667,
                                          5.75,
                                          10.083333333333332,
                                          3.666666666666667,
                                          2.833333333333333,
                                          3.166666666666667,
                                          3.5,
                                          5.833333333333333,
                                          3.666666666666667,
                                          2.833333333333333,
                                          3.166666666666667,
                                          3.5,
                                          5.833333333333333},
                                         allowed));
}

TEST_P(PoolingTest, PaddingNeverWins) {
  const LayerInput input{{{1, 1, 2, 2}, {-4, -3, -2, -1}}, {}, counting_from_one};
  const LayerRun run = run_layer(backend(), input,
                                 pool(MaxPool2d{.kernel_size = {2, 2}, .stride = {2, 2}, .padding = {1, 1}}));
  EXPECT_THAT(run.output, Exactly({-4, -3, -2, -1}));
  EXPECT_THAT(run.x_grad, Exactly({1, 2, 3, 4}));
}

TEST_P(PoolingTest, SendsTheGradientOfATieToTheFirst) {
  const LayerInput input{{{1, 1, 3, 3}, {0, 5, 5, 5, 5, 0, 5, 0, 0}}, {}, counting_from_one};
  const LayerRun run = run_layer(backend(), input, pool(MaxPool2d{.kernel_size = {2, 2}, .stride = {1, 1}}));
  EXPECT_THAT(run.x_grad, Exactly({0, 1 + 2, 0, 3, 4, 0, 0, 0, 0}));
}

struct MaxCase {
  const char* name;
  Shape x;
  MaxPool2d layer;
};

TEST_P(PoolingTest, MaxIsExact) {  // integers of a small range: ties everywhere
  const MaxCase cases[] = {
      {"one channel", {1, 1, 4, 4}, {}},
      {"of the ConvNet", {2, 16, 28, 28}, {}},
      {"odd input, 17 channels", {2, 17, 7, 9}, {}},
      {"overlapping", {3, 3, 8, 7}, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
      {"non-square, 33 channels",
       {2, 33, 6, 9},
       {.kernel_size = {2, 3}, .stride = {1, 2}, .padding = {1, 0}}},
      {"kernel as large as the input", {3, 5, 4, 6}, {.kernel_size = {4, 6}}},
      {"gaps between windows", {1, 3, 9, 9}, {.kernel_size = {2, 2}, .stride = {4, 3}}},
      {"1x1", {2, 3, 3, 3}, {.kernel_size = {1, 1}}},
      {"144 places, more than a signed byte tells apart", {2, 3, 24, 13}, {.kernel_size = {12, 12}}},
      {"256 places, as many as a byte does", {1, 4, 16, 32}, {.kernel_size = {16, 16}}},
  };
  for (const MaxCase& c : cases) {
    SCOPED_TRACE(c.name);
    const LayerInput input{
        small_integers(c.x, 2, 1), {}, [](const Shape& shape) { return small_integers(shape, 8, 2); }};
    expect_equal(run_layer(backend(), input, pool(c.layer)), run_layer(truth(), input, pool(c.layer)));
  }
}

struct AvgCase {
  const char* name;
  Shape x;
  AvgPool2d layer;
};

TEST_P(PoolingTest, AverageIsExactForPowersOfTwo) {
  const AvgCase cases[] = {
      {"one channel", {1, 1, 4, 4}, {}},
      {"odd input, 17 channels", {2, 17, 7, 9}, {}},
      {"overlapping with padding",
       {3, 3, 8, 7},
       {.kernel_size = {4, 2}, .stride = {1, 1}, .padding = {2, 1}}},
      {"padding not counted",
       {3, 3, 8, 7},
       {.kernel_size = {2, 2}, .padding = {1, 1}, .count_include_pad = false}},
      {"whole plane, 33 channels", {2, 33, 4, 8}, {.kernel_size = {4, 8}}},
  };
  for (const AvgCase& c : cases) {
    SCOPED_TRACE(c.name);
    const LayerInput input{
        small_integers(c.x, 8, 1), {}, [](const Shape& shape) { return small_integers(shape, 8, 2); }};
    expect_equal(run_layer(backend(), input, pool(c.layer)), run_layer(truth(), input, pool(c.layer)));
  }
}

TEST_P(PoolingTest, AverageIsWithinRoundingOnReals) {
  const AvgCase cases[] = {
      {"3x3", {2, 17, 9, 9}, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
      {"3x3, padding not counted",
       {2, 3, 9, 8},
       {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .count_include_pad = false}},
      {"whole plane of 7x7", {3, 33, 7, 7}, {.kernel_size = {7, 7}}},
  };
  for (const AvgCase& c : cases) {
    SCOPED_TRACE(c.name);
    const LayerInput input{normals(c.x, 1), {}, [](const Shape& shape) { return normals(shape, 2); }};
    const double allowed = sum_tolerance(c.layer.kernel_size[0] * c.layer.kernel_size[1]);
    expect_near(run_layer(backend(), input, pool(c.layer)), run_layer(truth(), input, pool(c.layer)),
                {.output = allowed, .x_grad = allowed, .parameter_grads = {}});
  }
}

// CUDA keeps a maximum's place in a byte. Where that does not do, it refuses rather than lead a gradient
// astray.
TEST_P(PoolingTest, AWindowOf289PixelsIsRightOrRefused) {
  const LayerInput input{normals({2, 3, 17, 17}, 1), {}, counting_from_one};
  const auto whole = pool(MaxPool2d{.kernel_size = {17, 17}});
  if (backend().name() == "cuda") {
    EXPECT_THAT(usage_error([&] { run_layer(backend(), input, whole); }),
                AllOf(HasSubstr("MaxPool2d"), HasSubstr("at most 256"), HasSubstr("17x17")));
    return;
  }
  const LayerRun run = run_layer(backend(), input, whole);
  EXPECT_THAT(run.x_grad, Exactly(run_layer(truth(), input, whole).x_grad));
}

TEST_P(PoolingTest, ANanIsTheMaximum) {
  if (backend().name() == "cuda") {
    GTEST_SKIP() << "cuDNN's max pool takes a NaN for the smallest number, whatever it is asked for (see "
                    "engine/backend/README.md)";
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LayerInput input{{{1, 1, 2, 4}, {1, nan, 2, 3, 4, 5, 6, 7}}, {}, counting_from_one};
  const LayerRun run = run_layer(backend(), input, pool(MaxPool2d{}));
  EXPECT_THAT(run.output, Exactly({nan, 7}));
  EXPECT_THAT(run.x_grad, Exactly({0, 1, 0, 0, 0, 0, 0, 2}));
}

TEST_P(PoolingTest, ANanSpoilsTheAverage) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LayerInput input{{{1, 1, 2, 4}, {1, nan, 2, 3, 4, 5, 6, 7}}, {}, counting_from_one};
  EXPECT_THAT(run_layer(backend(), input, pool(AvgPool2d{})).output, Exactly({nan, 4.5}));
}

TEST_P(PoolingTest, RefusesWindowsThatDoNotFit) {
  const Variable x = place(backend(), zeros({2, 3, 4, 5}));
  const auto max = [&](const MaxPool2d& layer) {
    return usage_error([&] { backend().make_max_pool(layer, x); });
  };
  const auto avg = [&](const AvgPool2d& layer) {
    return usage_error([&] { backend().make_avg_pool(layer, x); });
  };
  EXPECT_THAT(max({.kernel_size = {5, 2}}),
              AllOf(HasSubstr("MaxPool2d"), HasSubstr("[5, 2]"), HasSubstr("[2, 3, 4, 5]")));
  EXPECT_THAT(avg({.kernel_size = {5, 2}}),
              AllOf(HasSubstr("AvgPool2d"), HasSubstr("[5, 2]"), HasSubstr("[2, 3, 4, 5]")));
  EXPECT_THAT(max({.kernel_size = {2, 2}, .padding = {0, 2}}),
              AllOf(HasSubstr("[0, 2]"), HasSubstr("[2, 2]")));
  EXPECT_THAT(avg({.kernel_size = {2, 2}, .stride = {-1, 1}}), HasSubstr("[-1, 1]"));
  const Variable flat = place(backend(), zeros({2, 60}));
  EXPECT_THAT(usage_error([&] { backend().make_max_pool({}, flat); }),
              AllOf(HasSubstr("[2, 60]"), HasSubstr("[N, C, H, W]")));
}

INSTANTIATE_TEST_SUITE_P(, PoolingTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
