// Batch norm's and max pooling's loops on every one of Highway's targets that the processor has, against
// loops over single numbers. CMakeLists.txt compiles both without fused multiplication and addition.
#include <gtest/gtest.h>
#include <hwy/tests/hwy_gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/max_pool_loops.h"
#include "engine/core/philox.h"
#include "tests/backend/same_bits.h"

namespace convoy::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class CpuLoops : public hwy::TestWithParamTarget {};
HWY_TARGET_INSTANTIATE_TEST_SUITE_P(CpuLoops);

void expect_same(const float* actual, const std::vector<float>& expected, const char* what) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(same_bits(actual[i], expected[i])) << what << ' ' << i;
}

void expect_same(const DoubleRow& actual, const DoubleRow& expected, const char* what) {
  for (std::size_t j = 0; j < expected.size(); ++j) {
    EXPECT_TRUE(actual[j] == expected[j] || (std::isnan(actual[j]) && std::isnan(expected[j])))
        << what << ' ' << j << " is " << actual[j] << ", not " << expected[j];
  }
}

/// One plane for batch norm. x, dy, mean and pivot are eighths, few enough for every sum to be exact, so that
/// the order of its terms does not show; scale is not, and shift takes x = mean + 3 / 8 to zero exactly
/// if the product is rounded before it is added.
struct NormPlane {
  explicit NormPlane(std::int64_t count) : size(count) {
    PhiloxSequence random({6, 0});
    const auto eighths = [&] { return static_cast<float>(random.below(65)) / 8.0f - 4.0f; };
    // Begun one late, where no vector is aligned.
    for (std::int64_t i = 0; i <= size; ++i) {
      x.push_back(eighths());
      dy.push_back(eighths());
    }
    for (std::size_t j = 0; j < kRow; ++j) {
      mean[j] = eighths();
      slope[j] = eighths();
      scale[j] = static_cast<float>(random.uniform(-2.0, 2.0));
      shift[j] = -(0.375f * scale[j]);
      constant[j] = static_cast<float>(random.uniform(-1.0, 1.0));
    }
    for (std::int64_t i = 0; i < size; i += 3) x[at(i)] = mean[lane(i)] + 0.375f;
    x[at(size / 2)] = kNan;
  }

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i + 1); }
  static std::size_t lane(std::int64_t i) { return static_cast<std::size_t>(i % kRow); }

  float deviation(std::int64_t i) const { return x[at(i)] - mean[lane(i)]; }
  float normalized(std::int64_t i) const { return deviation(i) * scale[lane(i)] + shift[lane(i)]; }
  float gradient(std::int64_t i, bool relu) const { return relu && normalized(i) <= 0.0f ? 0.0f : dy[at(i)]; }

  std::int64_t size;
  std::vector<float> x, dy;
  Row mean{}, scale{}, shift{}, slope{}, constant{};
};

// Less than a row, a row, tails behind one and behind several chunks of 64.
constexpr std::int64_t kSizes[] = {5, 16, 55, 64 * 16, 150 * 16 + 9};

TEST_P(CpuLoops, AddDeviations) {
  for (const std::int64_t size : kSizes) {
    SCOPED_TRACE(size);
    const NormPlane plane(size);
    DoubleRow sum{}, squares{}, expected_sum{}, expected_squares{};
    sum[3] = expected_sum[3] = 0.5;  // what is there stays
    for (std::int64_t i = 0; i < size; ++i) {
      const double d = plane.deviation(i);
      expected_sum[NormPlane::lane(i)] += d;
      expected_squares[NormPlane::lane(i)] += d * d;
    }
    add_deviations({.x = &plane.x[1], .size = size, .pivot = plane.mean, .sum = sum, .squares = squares});
    expect_same(sum, expected_sum, "sum");
    expect_same(squares, expected_squares, "squares");
  }
}

TEST_P(CpuLoops, Normalize) {
  for (const std::int64_t size : kSizes) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(testing::Message() << size << (relu ? " and ReLU" : ""));
      const NormPlane plane(size);
      std::vector<float> expected;
      for (std::int64_t i = 0; i < size; ++i) {
        const float value = plane.normalized(i);
        expected.push_back(relu && value <= 0.0f ? 0.0f : value);
      }
      EXPECT_TRUE(std::isnan(expected[static_cast<std::size_t>(size / 2)])) << "passes the ReLU";
      std::vector<float> y(plane.x.size() + 1, 7.0f);
      normalize({.x = &plane.x[1],
                 .y = &y[1],
                 .size = size,
                 .mean = plane.mean,
                 .scale = plane.scale,
                 .shift = plane.shift,
                 .relu = relu});
      expect_same(&y[1], expected, "y");
      EXPECT_EQ(y.front(), 7.0f);
      EXPECT_EQ(y.back(), 7.0f) << "written past the end";
    }
  }
}

TEST_P(CpuLoops, AddGradients) {
  for (const std::int64_t size : kSizes) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(testing::Message() << size << (relu ? " and ReLU" : ""));
      const NormPlane plane(size);
      DoubleRow sum{}, products{}, expected_sum{}, expected_products{};
      sum[3] = expected_sum[3] = 0.5;
      for (std::int64_t i = 0; i < size; ++i) {
        const double g = plane.gradient(i, relu);
        expected_sum[NormPlane::lane(i)] += g;
        expected_products[NormPlane::lane(i)] += g * plane.deviation(i);
      }
      add_gradients({.x = &plane.x[1],
                     .dy = &plane.dy[1],
                     .size = size,
                     .mean = plane.mean,
                     .scale = plane.scale,
                     .shift = plane.shift,
                     .relu = relu,
                     .sum = sum,
                     .products = products});
      expect_same(sum, expected_sum, "sum");
      expect_same(products, expected_products, "products");
    }
  }
}

TEST_P(CpuLoops, Differentiate) {
  for (const std::int64_t size : kSizes) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(testing::Message() << size << (relu ? " and ReLU" : ""));
      const NormPlane plane(size);
      std::vector<float> expected;
      for (std::int64_t i = 0; i < size; ++i) {
        const std::size_t j = NormPlane::lane(i);
        expected.push_back(plane.scale[j] * plane.gradient(i, relu) +
                           (plane.slope[j] * plane.deviation(i) + plane.constant[j]));
      }
      std::vector<float> dx(plane.x.size() + 1, 7.0f);
      differentiate({.x = &plane.x[1],
                     .dy = &plane.dy[1],
                     .dx = &dx[1],
                     .size = size,
                     .mean = plane.mean,
                     .scale = plane.scale,
                     .shift = plane.shift,
                     .slope = plane.slope,
                     .constant = plane.constant,
                     .relu = relu});
      expect_same(&dx[1], expected, "dx");
      EXPECT_EQ(dx.front(), 7.0f);
      EXPECT_EQ(dx.back(), 7.0f) << "written past the end";
    }
  }
}

struct WindowCase {
  float x[3];
  float y;
  std::int32_t tap;
};

// Each lane has another one of these first, so that lanes of one register decide differently.
TEST_P(CpuLoops, MaxPoolTakesTheFirstMaximumAndTheFirstNan) {
  const std::vector<WindowCase> windows = {{{1, 2, 2}, 2, 1},
                                           {{kNan, 5, kNan}, kNan, 0},
                                           {{-0.0f, 0.0f, -1}, -0.0f, 0},
                                           {{2, kNan, kNan}, kNan, 1},
                                           {{0.0f, -0.0f, 0.0f}, 0.0f, 0},
                                           {{-kInfinity, -kInfinity, -kInfinity}, -kInfinity, 0},
                                           {{-3, kInfinity, kNan}, kNan, 2},
                                           {{-3, -2, -1}, -1, 2}};
  const Window window{.kernel_size = {1, 3}, .stride = {1, 3}, .padding = {0, 0}};
  const auto count = static_cast<std::int64_t>(windows.size());
  for (const std::int64_t lanes : {1, 8, 16}) {
    SCOPED_TRACE(testing::Message() << lanes << " lanes");
    std::vector<float> x, expected;
    std::vector<std::int32_t> taps;
    const auto of = [&](std::int64_t output, std::int64_t lane) {
      return windows[static_cast<std::size_t>((output + lane) % count)];
    };
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::size_t tap = 0; tap < 3; ++tap) {
        for (std::int64_t lane = 0; lane < lanes; ++lane) x.push_back(of(i, lane).x[tap]);
      }
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        expected.push_back(of(i, lane).y);
        taps.push_back(of(i, lane).tap);
      }
    }
    const PoolPlane plane{.window = window,
                          .lanes = lanes,
                          .pixel = lanes,
                          .height = 1,
                          .width = 3 * count,
                          .output_height = 1,
                          .output_width = count};
    std::vector<float> y(expected.size());
    std::vector<std::int32_t> tap(expected.size());
    max_pool(plane, x.data(), y.data(), tap.data());
    expect_same(y.data(), expected, "y");
    EXPECT_EQ(tap, taps);
  }
}

// Windows that overlap and begin in the padding, of few different numbers.
TEST_P(CpuLoops, MaxPoolInPaddingAndItsGradient) {
  constexpr float kValues[] = {0.0f, -0.0f, -1.0f, 2.5f, kNan, -kInfinity};
  constexpr std::int64_t kHeight = 7, kWidth = 6, kOutputHeight = 4, kOutputWidth = 3;
  const Window window{.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
  for (const std::int64_t lanes : {1, 8, 16}) {
    SCOPED_TRACE(testing::Message() << lanes << " lanes");
    PhiloxSequence random({7, 0});
    std::vector<float> x, dy;
    for (std::int64_t i = 0; i < kHeight * kWidth * lanes; ++i) x.push_back(kValues[random.below(6)]);
    for (std::int64_t i = 0; i < kOutputHeight * kOutputWidth * lanes; ++i)
      dy.push_back(static_cast<float>(random.uniform(-1.0, 1.0)));

    std::vector<float> expected_y(dy.size()), expected_dx(x.size());
    std::vector<std::int32_t> expected_tap(dy.size());
    for (std::int64_t output = 0; output < static_cast<std::int64_t>(dy.size()); ++output) {
      const std::int64_t lane = output % lanes;
      const std::int64_t row = output / lanes / kOutputWidth * 2 - 1;
      const std::int64_t column = output / lanes % kOutputWidth * 2 - 1;
      std::int64_t best = -1;
      std::int32_t tap = 0;
      for (std::int32_t k = 0; k < 9; ++k) {
        const std::int64_t i = row + k / 3, j = column + k % 3;
        if (i < 0 || i >= kHeight || j < 0 || j >= kWidth) continue;
        const std::int64_t here = (i * kWidth + j) * lanes + lane;
        const float value = x[static_cast<std::size_t>(here)];
        const float so_far = best < 0 ? 0.0f : x[static_cast<std::size_t>(best)];
        if (best < 0 || (!std::isnan(so_far) && (std::isnan(value) || value > so_far))) {
          best = here;
          tap = k;
        }
      }
      const auto o = static_cast<std::size_t>(output), b = static_cast<std::size_t>(best);
      expected_y[o] = x[b];
      expected_tap[o] = tap;
      expected_dx[b] += dy[o];
    }

    const PoolPlane plane{.window = window,
                          .lanes = lanes,
                          .pixel = lanes,
                          .height = kHeight,
                          .width = kWidth,
                          .output_height = kOutputHeight,
                          .output_width = kOutputWidth};
    std::vector<float> y(dy.size()), dx(x.size(), 7.0f);
    std::vector<std::int32_t> tap(dy.size());
    max_pool(plane, x.data(), y.data(), tap.data());
    expect_same(y.data(), expected_y, "y");
    EXPECT_EQ(tap, expected_tap);
    max_pool_backward(plane, dy.data(), tap.data(), dx.data());
    expect_same(dx.data(), expected_dx, "dx");
  }
}

}  // namespace
}  // namespace convoy::cpu
