// Forward; batch_norm_pool_backward_test.cpp goes back.
#include <algorithm>
#include <bit>

#include "tests/host_kernels/batch_norm_pool_support.h"

namespace convoy::kernels {
namespace {

void expect_value(float actual, float expected, std::size_t i) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << i;
  } else {
    ASSERT_EQ(actual, expected) << i;
  }
}

/// Bits, so that NaNs compare.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(
      a, b, {}, [](float v) { return std::bit_cast<std::uint32_t>(v); },
      [](float v) { return std::bit_cast<std::uint32_t>(v); });
}

struct Trained {
  Elements y, winners;
  std::vector<std::uint8_t> index;
  std::vector<float> running_mean, running_var, saved_mean, saved_inverse_std;
  std::vector<unsigned> arrived;
  bool operator==(const Trained& o) const {
    return y == o.y && winners == o.winners && index == o.index && same(running_mean, o.running_mean) &&
           same(running_var, o.running_var) && same(saved_mean, o.saved_mean) &&
           same(saved_inverse_std, o.saved_inverse_std) && arrived == o.arrived;
  }
};

Trained train(const PoolShape& s, Elements x, const std::vector<float>& weight,
              const std::vector<float>& bias, bool with_index = true) {
  const auto outputs = static_cast<std::size_t>(s.out_count());
  Trained t{Elements(s.dtype, s.out_count()),
            Elements(s.dtype, s.out_count()),
            std::vector<std::uint8_t>(outputs),
            uniform(s.channels, -1, 1, 4),
            uniform(s.channels, 0.5, 2, 5),
            vector_of(s.channels),
            vector_of(s.channels),
            {}};
  Scratch scratch(rows_of(s), s.channels);
  batch_norm_pool_training(s,
                           {.norm = {.x = x.data(),
                                     .y = t.y.data(),
                                     .weight = weight.data(),
                                     .bias = bias.data(),
                                     .running_mean = t.running_mean.data(),
                                     .running_var = t.running_var.data(),
                                     .saved_mean = t.saved_mean.data(),
                                     .saved_inverse_std = t.saved_inverse_std.data(),
                                     .scratch = scratch.on_device(),
                                     .epsilon = kBatchNormEpsilon,
                                     .momentum = 0.1f},
                            .winners = with_index ? t.winners.data() : nullptr,
                            .index = with_index ? t.index.data() : nullptr},
                           nullptr);
  t.arrived = scratch.arrived;
  return t;
}

/// Against batch norm's statistics, and a loop over windows.
void expect_training(const PoolShape& s, Elements x, const std::vector<float>& weight,
                     const std::vector<float>& bias, const Trained& t) {
  Trained alone = t;
  alone.running_mean = uniform(s.channels, -1, 1, 4);
  alone.running_var = uniform(s.channels, 0.5, 2, 5);
  Scratch scratch(rows_of(s), s.channels);
  batch_norm_statistics({rows_of(s), s.channels, s.dtype},
                        {.x = x.data(),
                         .running_mean = alone.running_mean.data(),
                         .running_var = alone.running_var.data(),
                         .saved_mean = alone.saved_mean.data(),
                         .saved_inverse_std = alone.saved_inverse_std.data(),
                         .scratch = scratch.on_device(),
                         .epsilon = kBatchNormEpsilon,
                         .momentum = 0.1f},
                        nullptr);
  EXPECT_TRUE(t == alone) << "the statistics are batch norm's";
  const Norm norm{t.saved_mean, t.saved_inverse_std, weight, bias};
  for_each_output(s, [&](std::size_t y, const std::vector<std::size_t>& seen) {
    const std::size_t c = channel_of(s, y);
    const std::size_t tap = winner_of(norm, c, x, seen);
    const float best = norm(c, x[seen[tap]]);
    expect_value(t.y[y], rounded(s.dtype, best < 0.0f ? 0.0f : best), y);
    ASSERT_EQ(t.index[y], best <= 0.0f ? kNothingPasses : tap) << y;
    expect_value(t.winners[y], x[seen[tap]], y);
  });
}

TEST(BatchNormPool, TrainingKeepsTheWinnerOfEachWindow) {
  for_each_case([](const PoolShape& s) {
    const auto weight = uniform(s.channels, -1.5, 1.5, 2), bias = uniform(s.channels, -1, 1, 3);
    for (const Elements& x :
         {Elements(s.dtype, uniform(s.in_count(), -2, 2, 1)), integers(s.dtype, s.in_count(), 1, 6)}) {
      const Trained t = in_every_order([&] { return train(s, x, weight, bias); });
      expect_training(s, x, weight, bias, t);
      EXPECT_EQ(t.arrived, std::vector<unsigned>(t.arrived.size()));
    }
  });
}

TEST(BatchNormPool, NothingPassesWhereAllIsBelowZero) {
  for_each_case([](const PoolShape& s) {
    const auto weight = uniform(s.channels, 0.01, 0.02, 2), bias = uniform(s.channels, -2, -1, 3);
    const Elements x(s.dtype, uniform(s.in_count(), -2, 2, 1));
    const Trained t = train(s, x, weight, bias);
    expect_training(s, x, weight, bias, t);
    EXPECT_EQ(t.index, std::vector<std::uint8_t>(t.index.size(), kNothingPasses));
  });
}

TEST(BatchNormPool, TrainsWithoutAnIndex) {
  for_each_case([](const PoolShape& s) {
    const auto weight = uniform(s.channels, -1.5, 1.5, 2), bias = uniform(s.channels, -1, 1, 3);
    const Elements x(s.dtype, uniform(s.in_count(), -2, 2, 1));
    const Trained with = train(s, x, weight, bias), without = train(s, x, weight, bias, false);
    EXPECT_EQ(without.y, with.y);
    EXPECT_EQ(without.index, std::vector<std::uint8_t>(with.index.size()));
    EXPECT_EQ(without.winners, Elements(s.dtype, s.out_count()));
  });
}

Elements evaluate(const PoolShape& s, Elements x, const Norm& norm, const std::vector<float>& variance,
                  float epsilon) {
  Elements y(s.dtype, s.out_count());
  batch_norm_pool_evaluation(s,
                             {.x = x.data(),
                              .y = y.data(),
                              .weight = norm.weight.data(),
                              .bias = norm.bias.data(),
                              .running_mean = norm.mean.data(),
                              .running_var = variance.data(),
                              .epsilon = epsilon},
                             nullptr);
  return y;
}

TEST(BatchNormPool, EvaluationUsesTheRunningStatistics) {
  for_each_case([](const PoolShape& s) {
    Norm norm{
        uniform(s.channels, -1, 1, 4), {}, uniform(s.channels, -1.5, 1.5, 2), uniform(s.channels, -1, 1, 3)};
    const auto variance = uniform(s.channels, 0.5, 2, 5);
    for (const float v : variance) norm.inverse_std.push_back(1.0f / std::sqrt(v + kBatchNormEpsilon));
    Elements x(s.dtype, uniform(s.in_count(), -2, 2, 1));
    for (std::size_t i = 0; i < x.size(); ++i) {  // which only its window may see
      if (i % 41 == 7) x.set(i, NAN);
      if (i % 53 == 3) x.set(i, -INFINITY);
    }
    const Elements y = in_every_order([&] { return evaluate(s, x, norm, variance, kBatchNormEpsilon); });
    for_each_output(s, [&](std::size_t i, const std::vector<std::size_t>& seen) {
      const std::size_t c = channel_of(s, i);
      const float best = norm(c, x[seen[winner_of(norm, c, x, seen)]]);
      expect_value(y[i], rounded(s.dtype, best < 0.0f ? 0.0f : best), i);
    });
  });
}

TEST(BatchNormPool, ANanOfAChannelShowsInItAndInNoOther) {
  for_each_case([](const PoolShape& s) {
    const auto weight = uniform(s.channels, -1.5, 1.5, 2), bias = uniform(s.channels, -1, 1, 3);
    Elements x(s.dtype, uniform(s.in_count(), -2, 2, 1));
    x.set(static_cast<std::size_t>(s.channels - 1), NAN);  // of the last channel
    const Trained t = train(s, x, weight, bias);
    expect_training(s, x, weight, bias, t);
    for (std::size_t i = 0; i < t.y.size(); ++i) {
      const bool last = i % static_cast<std::size_t>(s.channels) == static_cast<std::size_t>(s.channels) - 1;
      ASSERT_EQ(std::isnan(t.y[i]), last) << i;
      if (last) {
        ASSERT_EQ(t.index[i], s.window.kernel.count() - 1) << "the last NaN of a window";
      }
    }
  });
}

TEST(BatchNormPool, EmptyTensorsEnqueueNothing) {
  PoolShape s = kCases[0].shape(DType::float32);
  s.images = 0;
  EXPECT_NO_THROW(batch_norm_pool_training(s, {}, nullptr));
  EXPECT_NO_THROW(batch_norm_pool_backward(s, {}, nullptr));
  EXPECT_NO_THROW(batch_norm_pool_evaluation(s, {}, nullptr));
}

TEST(BatchNormPool, FitsDisjointWindowsOfFewEnoughTaps) {
  const auto fits = [](const ImageWindow& window) {
    PoolShape s = kCases[0].shape(DType::float32);
    s.window = window;
    return batch_norm_pool_fits(s);
  };
  for (const Case& c : kCases) EXPECT_TRUE(batch_norm_pool_fits(c.shape(DType::float32))) << c.name;
  EXPECT_FALSE(fits({.kernel = {16, 16}, .stride = {16, 16}})) << "256 taps";
  EXPECT_FALSE(fits({.kernel = {3, 3}, .stride = {2, 3}}));
  EXPECT_FALSE(fits({.kernel = {3, 3}, .stride = {3, 2}}));
  EXPECT_FALSE(fits({.kernel = {2, 2}, .stride = {2, 2}, .padding = {1, 0}}));
  EXPECT_FALSE(fits({.kernel = {2, 2}, .stride = {2, 2}, .padding = {0, 1}}));
  EXPECT_FALSE(fits({.kernel = {1, 1}, .stride = {1, (1 << 28) + 1}}));
}

}  // namespace
}  // namespace convoy::kernels
