// The loops that know bf16 on every one of Highway's targets that the processor has: what they make of bf16
// is what they make of the same numbers as floats, rounded once. And the same for rows that lie apart, as
// they do in memory with channels last.
#include <gtest/gtest.h>
#include <hwy/tests/hwy_gtest.h>

#include <cmath>
#include <vector>

#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/batch_norm_pool_loops.h"
#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/core/philox.h"
#include "tests/backend/same_bits.h"

namespace convoy::cpu {
namespace {

class CpuBfloat16Loops : public hwy::TestWithParamTarget {};
HWY_TARGET_INSTANTIATE_TEST_SUITE_P(CpuBfloat16Loops);

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<Bfloat16> narrow(const std::vector<float>& values) {
  std::vector<Bfloat16> all;
  for (const float value : values) all.push_back(rounded(value));
  return all;
}

std::vector<float> wide(const std::vector<Bfloat16>& values) {
  std::vector<float> all;
  for (const Bfloat16 value : values) all.push_back(widened(value));
  return all;
}

void expect_rounded(const std::vector<Bfloat16>& actual, const std::vector<float>& expected,
                    const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(same_bits(widened(actual[i]), widened(rounded(expected[i])))) << what << ' ' << i;
  }
}

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

TEST(Bfloat16, RoundsToTheNearestAndToTheEven) {
  EXPECT_EQ(rounded(1.0f).bits, 0x3f80);
  EXPECT_EQ(rounded(from_bits(0x3f808000)).bits, 0x3f80) << "half way, the lower one is even";
  EXPECT_EQ(rounded(from_bits(0x3f808001)).bits, 0x3f81);
  EXPECT_EQ(rounded(from_bits(0x3f818000)).bits, 0x3f82) << "half way, the upper one is even";
  EXPECT_EQ(rounded(from_bits(0x3f817fff)).bits, 0x3f81);
  EXPECT_EQ(rounded(from_bits(0xff7fffff)).bits, 0xff80) << "beyond the largest lies infinity";
  EXPECT_EQ(rounded(-0.0f).bits, 0x8000);
  EXPECT_EQ(rounded(from_bits(0x00000001)).bits, 0x0000);
  EXPECT_TRUE(std::isnan(widened(rounded(from_bits(0x7f800001))))) << "not an infinity";
  EXPECT_TRUE(std::isnan(widened(rounded(from_bits(0xffffffff))))) << "not a zero";
}

// A sum with what lies 2^-9 of it away is what has to be rounded.
TEST_P(CpuBfloat16Loops, Elementwise) {
  PhiloxSequence random({9, 0});
  std::vector<Bfloat16> a, b;
  for (int i = 0; i < 1003; ++i) {  // of any bits: denormal numbers, infinities and NaN among them
    a.push_back({static_cast<std::uint16_t>(random.next())});
    const auto near = static_cast<std::uint16_t>(a.back().bits - (random.below(12) << 7) + random.below(128));
    b.push_back({near});
  }
  const auto count = static_cast<std::int64_t>(a.size());
  std::vector<float> sum(a.size()), masked(a.size());
  add(wide(a).data(), wide(b).data(), sum.data(), count);
  mask_by_relu(wide(a).data(), wide(b).data(), masked.data(), count);
  std::vector<Bfloat16> to(a.size());
  add(a.data(), b.data(), to.data(), count);
  expect_rounded(to, sum, "sum");
  mask_by_relu(a.data(), b.data(), to.data(), count);
  expect_rounded(to, masked, "mask");
  convert(sum.data(), to.data(), count);
  expect_rounded(to, sum, "rounded");
  convert(a.data(), masked.data(), count);
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(same_bits(masked[i], widened(a[i]))) << "widened " << i;
}

/// Rows of 16 numbers, `row` apart, and what batch norm takes.
struct Rows {
  Rows(std::int64_t how_many, std::int64_t apart) : count(how_many), row(apart) {
    PhiloxSequence random({10, 0});
    const auto real = [&] { return static_cast<float>(random.uniform(-2.0, 2.0)); };
    for (std::int64_t i = 0; i < count * row; ++i) {
      x.push_back(rounded(real()));
      dy.push_back(rounded(real()));
      tap.push_back(random.below(3) == 0 ? kNothingPasses : static_cast<std::uint8_t>(random.below(4)));
    }
    for (std::size_t j = 0; j < kRow; ++j) {
      for (Row* vector : {&mean, &scale, &shift, &slope, &constant}) (*vector)[j] = real();
    }
  }

  /// The rows one behind another, as floats, and back.
  std::vector<float> together(const std::vector<Bfloat16>& apart) const {
    std::vector<float> all;
    for (std::int64_t i = 0; i < count * kRow; ++i)
      all.push_back(widened(apart[at(i / kRow * row + i % kRow)]));
    return all;
  }
  void expect_rows(const std::vector<Bfloat16>& actual, const std::vector<float>& expected) const {
    for (std::int64_t i = 0; i < count * row; ++i) {
      const std::int64_t lane = i % row;
      const float value = lane < kRow ? widened(rounded(expected[at(i / row * kRow + lane)])) : 7.0f;
      EXPECT_TRUE(same_bits(widened(actual[at(i)]), value)) << i;
    }
  }
  std::vector<Bfloat16> sevens() const { return narrow(std::vector<float>(x.size(), 7.0f)); }

  std::int64_t count, row;
  std::vector<Bfloat16> x, dy;
  std::vector<std::uint8_t> tap;
  Row mean{}, scale{}, shift{}, slope{}, constant{};
};

template <typename Check>
void for_each_rows(Check check) {
  for (const std::int64_t row : {kRow, 3 * kRow}) {
    for (const std::int64_t count : {1, 7, 64, 150}) {
      SCOPED_TRACE(testing::Message() << count << " rows, " << row << " apart");
      check(Rows(count, row));
    }
  }
}

TEST_P(CpuBfloat16Loops, SumsOfBatchNorm) {
  for_each_rows([](const Rows& r) {
    const std::vector<float> x = r.together(r.x), dy = r.together(r.dy);
    const std::int64_t size = r.count * kRow;
    DoubleRow sum{}, squares{}, expected_sum{}, expected_squares{};
    add_deviations(
        {.x = r.x.data(), .size = size, .row = r.row, .pivot = r.mean, .sum = sum, .squares = squares});
    add_deviations(
        {.x = x.data(), .size = size, .pivot = r.mean, .sum = expected_sum, .squares = expected_squares});
    EXPECT_EQ(sum, expected_sum);
    EXPECT_EQ(squares, expected_squares);
    const auto gradients = [&](const auto* values, const auto* upstream, std::int64_t row) {
      std::pair<DoubleRow, DoubleRow> sums{};
      add_gradients({.x = values,
                     .dy = upstream,
                     .size = size,
                     .row = row,
                     .mean = r.mean,
                     .scale = r.scale,
                     .shift = r.shift,
                     .relu = true,
                     .sum = sums.first,
                     .products = sums.second});
      return sums;
    };
    EXPECT_EQ(gradients(r.x.data(), r.dy.data(), r.row), gradients(x.data(), dy.data(), kRow));
  });
}

TEST_P(CpuBfloat16Loops, NormalizeAndDifferentiate) {
  for_each_rows([](const Rows& r) {
    const std::vector<float> x = r.together(r.x), dy = r.together(r.dy);
    std::vector<float> expected(x.size());
    std::vector<Bfloat16> actual = r.sevens();
    const auto forward = [&](const auto* from, auto* to, std::int64_t row) {
      normalize({.x = from,
                 .y = to,
                 .size = r.count * kRow,
                 .row = row,
                 .mean = r.mean,
                 .scale = r.scale,
                 .shift = r.shift,
                 .relu = true});
    };
    forward(x.data(), expected.data(), kRow);
    forward(r.x.data(), actual.data(), r.row);
    r.expect_rows(actual, expected);
    const auto backward = [&](const auto* from, const auto* upstream, auto* to, std::int64_t row) {
      differentiate({.x = from,
                     .dy = upstream,
                     .dx = to,
                     .size = r.count * kRow,
                     .row = row,
                     .mean = r.mean,
                     .scale = r.scale,
                     .shift = r.shift,
                     .slope = r.slope,
                     .constant = r.constant,
                     .relu = true});
    };
    backward(x.data(), dy.data(), expected.data(), kRow);
    backward(r.x.data(), r.dy.data(), actual.data(), r.row);
    r.expect_rows(actual, expected);
  });
}

TEST_P(CpuBfloat16Loops, NormalizeAndPool) {
  for (const Extent side : {Extent{2, 2}, Extent{3, 2}}) {
    for (const std::int64_t pixel : {kRow, 3 * kRow}) {
      SCOPED_TRACE(testing::Message() << side[0] << 'x' << side[1] << ", pixels " << pixel << " apart");
      const Window window{.kernel_size = side, .stride = side};
      const Rows in(6 * 9, pixel), out(6 / side[0] * (9 / side[1]), pixel);
      const std::vector<float> x = in.together(in.x), upstream = out.together(out.dy);
      const auto plane = [&](std::int64_t apart) {
        return PoolPlane{.window = window,
                         .lanes = kRow,
                         .pixel = apart,
                         .height = 6,
                         .width = 9,
                         .output_height = 6 / side[0],
                         .output_width = 9 / side[1]};
      };
      std::vector<Bfloat16> y = out.sevens(), winner = out.sevens(), dx = in.sevens();
      std::vector<float> expected_y(at(out.count * kRow)), expected_winner(expected_y), expected_dx(x.size());
      std::vector<std::uint8_t> tap(out.x.size()), expected_tap(expected_y.size());
      const auto forward = [&](const PoolPlane& p, const auto* from, auto* to, auto* won,
                               std::uint8_t* taps) {
        normalize_and_pool({.plane = p,
                            .x = from,
                            .y = to,
                            .winner = won,
                            .tap = taps,
                            .mean = in.mean,
                            .scale = in.scale,
                            .shift = in.shift});
      };
      forward(plane(kRow), x.data(), expected_y.data(), expected_winner.data(), expected_tap.data());
      forward(plane(pixel), in.x.data(), y.data(), winner.data(), tap.data());
      out.expect_rows(y, expected_y);
      out.expect_rows(winner, expected_winner);
      for (std::size_t i = 0; i < expected_tap.size(); ++i) {
        EXPECT_EQ(tap[i / kRow * at(pixel) + i % kRow], expected_tap[i]) << i;
      }
      const auto backward = [&](const PoolPlane& p, const auto* from, const auto* gradient, auto* taps,
                                auto* to) {
        differentiate_pooled({.plane = p,
                              .x = from,
                              .dy = gradient,
                              .tap = taps,
                              .dx = to,
                              .mean = in.mean,
                              .scale = in.scale,
                              .slope = in.slope,
                              .constant = in.constant});
      };
      backward(plane(kRow), x.data(), upstream.data(), expected_tap.data(), expected_dx.data());
      backward(plane(pixel), in.x.data(), out.dy.data(), tap.data(), dx.data());
      in.expect_rows(dx, expected_dx);
      const auto sums = [&](const auto* won, const std::uint8_t* taps, const auto* gradient,
                            std::int64_t row) {
        std::pair<DoubleRow, DoubleRow> both{};
        add_pooled_gradients({.winner = won,
                              .tap = taps,
                              .dy = gradient,
                              .size = out.count * kRow,
                              .row = row,
                              .mean = in.mean,
                              .sum = both.first,
                              .products = both.second});
        return both;
      };
      EXPECT_EQ(sums(winner.data(), tap.data(), out.dy.data(), pixel),
                sums(expected_winner.data(), expected_tap.data(), upstream.data(), kRow));
    }
  }
}

}  // namespace
}  // namespace convoy::cpu
