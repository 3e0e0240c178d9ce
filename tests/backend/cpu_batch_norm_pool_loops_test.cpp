// The loops of batch norm with a pool behind it on every one of Highway's targets that the processor has,
// against loops over single numbers. CMakeLists.txt compiles both without fused multiplication and addition.
#include <gtest/gtest.h>
#include <hwy/tests/hwy_gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/cpu/batch_norm_pool_loops.h"
#include "engine/core/philox.h"
#include "tests/backend/same_bits.h"

namespace convoy::cpu {
namespace {

class CpuBatchNormPoolLoops : public hwy::TestWithParamTarget {};
HWY_TARGET_INSTANTIATE_TEST_SUITE_P(CpuBatchNormPoolLoops);

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Case {
  Window window;
  std::int64_t height, width;
};

const Case kCases[] = {
    {{.kernel_size = {2, 2}, .stride = {2, 2}}, 6, 10},  // tiles
    {{.kernel_size = {2, 2}, .stride = {2, 2}}, 7, 9},   // a row and a column are left over
    {{.kernel_size = {2, 2}, .stride = {3, 4}}, 8, 14},  // gaps
    {{.kernel_size = {3, 2}, .stride = {3, 2}}, 9, 6},
    {{.kernel_size = {3, 1}, .stride = {4, 2}}, 9, 7},
    {{.kernel_size = {15, 17}, .stride = {15, 17}}, 15, 17},  // as many taps as a byte counts
};

/// A plane with what the loops are given and what single numbers make of it. Numbers are eighths, so that
/// ties are many and sums exact; behind each array lies one more number, which nothing may write to.
class Plane {
 public:
  Plane(const Case& c, std::int64_t lanes, bool with_nan) : c_(c), lanes_(lanes) {
    PhiloxSequence random({8, static_cast<std::uint32_t>(lanes)});
    const auto eighths = [&] { return static_cast<float>(random.below(33)) / 8.0f - 2.0f; };
    for (std::int64_t i = 0; i < inputs(); ++i) x.push_back(eighths());
    for (std::int64_t i = 0; i < outputs(); ++i) dy.push_back(eighths());
    if (with_nan) {
      for (std::int64_t i = 3; i < inputs(); i += 29) x[at(i)] = kNan;
      for (std::int64_t i = 5; i < inputs(); i += 31) x[at(i)] = i % 2 ? kInfinity : -kInfinity;
    }
    // Rows repeat with the lanes. Some scales are negative, one is zero.
    for (std::int64_t j = 0; j < kRow; ++j) {
      const auto spread = [&](Row& row, float value) { row[at(j)] = j < lanes ? value : row[at(j % lanes)]; };
      spread(mean, eighths());
      spread(scale, lanes > 1 && j == 5 ? 0.0f : eighths());
      spread(shift, eighths());
      spread(slope, eighths());
      spread(constant, eighths());
    }
    compute();
  }

  std::int64_t inputs() const { return c_.height * c_.width * lanes_; }
  std::int64_t outputs() const { return output_height() * output_width() * lanes_; }
  std::int64_t output_height() const { return c_.window.outputs(0, c_.height); }
  std::int64_t output_width() const { return c_.window.outputs(1, c_.width); }
  PoolPlane pool() const {
    return {.window = c_.window,
            .lanes = lanes_,
            .pixel = lanes_,
            .height = c_.height,
            .width = c_.width,
            .output_height = output_height(),
            .output_width = output_width()};
  }

  std::vector<float> x, dy;
  Row mean{}, scale{}, shift{}, slope{}, constant{};
  std::vector<float> y, winner, dx;  // expected
  std::vector<std::uint8_t> tap;

 private:
  void compute() {
    dx.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t j = i % at(lanes_);
      dx[i] = slope[j] * (x[i] - mean[j]) + constant[j];
    }
    for (std::int64_t output = 0; output < outputs(); ++output) compute(output);
  }

  void compute(std::int64_t output) {
    const std::int64_t lane = output % lanes_, kernel_width = c_.window.kernel_size[1];
    const std::int64_t row = output / lanes_ / output_width() * c_.window.stride[0];
    const std::int64_t column = output / lanes_ % output_width() * c_.window.stride[1];
    float best = 0.0f, its_x = 0.0f;
    std::uint8_t its_tap = kNothingPasses;
    std::size_t where = 0;
    for (std::int64_t k = 0; k < c_.window.kernel_size[0] * kernel_width; ++k) {
      const std::size_t here =
          at(((row + k / kernel_width) * c_.width + column + k % kernel_width) * lanes_ + lane);
      const float d = x[here] - mean[at(lane)];
      const float value = d * scale[at(lane)] + shift[at(lane)];
      if (std::isnan(best) || value <= best) continue;
      best = value;
      its_x = x[here];
      its_tap = static_cast<std::uint8_t>(k);
      where = here;
    }
    y.push_back(best);
    winner.push_back(its_x);
    tap.push_back(its_tap);
    if (its_tap != kNothingPasses) dx[where] = scale[at(lane)] * dy[at(output)] + dx[where];
  }

  Case c_;
  std::int64_t lanes_;
};

void expect_same(const std::vector<float>& actual, const std::vector<float>& expected, const char* what) {
  ASSERT_EQ(actual.size(), expected.size() + 1);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(same_bits(actual[i], expected[i])) << what << ' ' << i;
  EXPECT_EQ(actual.back(), 7.0f) << what << " written past the end";
}

template <typename Check>
void for_each_plane(Check check) {
  for (const Case& c : kCases) {
    for (const std::int64_t lanes : {1, 8, 16}) {
      for (const bool with_nan : {false, true}) {
        SCOPED_TRACE(testing::Message() << c.window.kernel_size[0] << 'x' << c.window.kernel_size[1]
                                        << " over " << c.height << 'x' << c.width << ", " << lanes << " lanes"
                                        << (with_nan ? ", with NaN and infinities" : ""));
        check(Plane(c, lanes, with_nan));
      }
    }
  }
}

TEST_P(CpuBatchNormPoolLoops, NormalizeAndPool) {
  for_each_plane([](const Plane& plane) {
    std::vector<float> y(plane.y.size() + 1, 7.0f), winner(y), alone(y);
    std::vector<std::uint8_t> tap(plane.tap.size() + 1, 77);
    NormalizedPool<float> pool{.plane = plane.pool(),
                               .x = plane.x.data(),
                               .y = y.data(),
                               .winner = winner.data(),
                               .tap = tap.data(),
                               .mean = plane.mean,
                               .scale = plane.scale,
                               .shift = plane.shift};
    normalize_and_pool(pool);
    expect_same(y, plane.y, "y");
    expect_same(winner, plane.winner, "winner");
    EXPECT_EQ(tap.back(), 77) << "written past the end";
    tap.pop_back();
    EXPECT_EQ(tap, plane.tap);

    pool.y = alone.data();
    pool.winner = nullptr;
    pool.tap = nullptr;
    normalize_and_pool(pool);
    expect_same(alone, plane.y, "y alone");
  });
}

TEST_P(CpuBatchNormPoolLoops, AddPooledGradients) {
  for_each_plane([](const Plane& plane) {
    DoubleRow sum{}, products{}, expected_sum{}, expected_products{};
    sum[3] = expected_sum[3] = 0.5;  // what is there stays
    std::vector<float> dy = plane.dy;
    for (std::size_t i = 0; i < dy.size(); ++i) {
      if (plane.tap[i] == kNothingPasses) {
        dy[i] = kNan;  // which does not pass, either
        continue;
      }
      expected_sum[i % kRow] += dy[i];
      expected_products[i % kRow] +=
          double{dy[i]} * double{plane.winner[i] - plane.mean[i % at(plane.pool().lanes)]};
    }
    add_pooled_gradients({.winner = plane.winner.data(),
                          .tap = plane.tap.data(),
                          .dy = dy.data(),
                          .size = plane.outputs(),
                          .mean = plane.mean,
                          .sum = sum,
                          .products = products});
    for (std::size_t j = 0; j < sum.size(); ++j) {
      EXPECT_EQ(sum[j], expected_sum[j]) << j;
      EXPECT_TRUE(products[j] == expected_products[j] ||
                  (!std::isfinite(products[j]) && !std::isfinite(expected_products[j])))
          << j << " is " << products[j] << ", not " << expected_products[j];
    }
  });
}

TEST_P(CpuBatchNormPoolLoops, DifferentiatePooled) {
  for_each_plane([](const Plane& plane) {
    std::vector<float> dx(plane.dx.size() + 1, 7.0f);
    differentiate_pooled({.plane = plane.pool(),
                          .x = plane.x.data(),
                          .dy = plane.dy.data(),
                          .tap = plane.tap.data(),
                          .dx = dx.data(),
                          .mean = plane.mean,
                          .scale = plane.scale,
                          .slope = plane.slope,
                          .constant = plane.constant});
    // Beside the tap a zero is added, which makes a zero of either sign a positive one.
    for (std::size_t i = 0; i < plane.dx.size(); ++i) dx[i] += 0.0f;
    std::vector<float> expected = plane.dx;
    for (float& value : expected) value += 0.0f;
    expect_same(dx, expected, "dx");
  });
}

}  // namespace
}  // namespace convoy::cpu
