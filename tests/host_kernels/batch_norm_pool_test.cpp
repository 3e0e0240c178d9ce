#include "kernels/batch_norm_pool.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr float kBatchNormEpsilon = 1e-5f;
constexpr std::uint8_t kNothingPasses = 255;

struct Case {
  const char* name;
  std::int64_t images;
  Extents in;
  std::int32_t channels;
  Extents kernel;
  Extents stride;

  PoolShape shape(DType dtype) const {
    return {images,
            in,
            {(in.height - kernel.height) / stride.height + 1, (in.width - kernel.width) / stride.width + 1},
            channels,
            {.kernel = kernel, .stride = stride},
            dtype};
  }
};

const Case kCases[] = {
    {"of the ConvNet", 3, {14, 14}, 16, {2, 2}, {2, 2}},
    {"a row and a column in no window", 2, {5, 7}, 8, {2, 2}, {2, 2}},
    {"odd channels", 2, {6, 9}, 5, {3, 2}, {3, 2}},
    {"one channel, several slabs of rows", 5, {32, 30}, 1, {2, 3}, {2, 3}},
    {"gaps between windows", 2, {10, 11}, 24, {2, 1}, {3, 4}},
    {"one window, the rest in none", 4, {9, 8}, 12, {8, 6}, {100, 100}},
    {"one tap", 3, {3, 3}, 40, {1, 1}, {1, 1}},
    {"255 taps", 1, {16, 18}, 4, {15, 17}, {15, 17}},
};

std::size_t at(const PoolShape& s, const Extents& plane, std::int64_t n, std::int64_t h, std::int64_t w,
               std::int64_t c) {
  return static_cast<std::size_t>(((n * plane.height + h) * plane.width + w) * s.channels + c);
}

/// Calls visit(channel, y element, {x elements of its window in row-major order}).
template <typename Visit>
void for_each_output(const PoolShape& s, Visit visit) {
  const ImageWindow& w = s.window;
  for (std::int64_t n = 0; n < s.images; ++n) {
    for (std::int64_t oh = 0; oh < s.out.height; ++oh) {
      for (std::int64_t ow = 0; ow < s.out.width; ++ow) {
        for (std::int32_t c = 0; c < s.channels; ++c) {
          std::vector<std::size_t> seen;
          for (std::int64_t tap = 0; tap < w.kernel.count(); ++tap) {
            seen.push_back(at(s, s.in, n, oh * w.stride.height + tap / w.kernel.width,
                              ow * w.stride.width + tap % w.kernel.width, c));
          }
          visit(static_cast<std::size_t>(c), at(s, s.out, n, oh, ow, c), seen);
        }
      }
    }
  }
}

/// The arithmetic of batch norm's own kernel, in its order: g++ contracts nothing here, so bits agree.
struct Norm {
  std::vector<float> mean, inverse_std, weight, bias;
  float operator()(std::size_t c, float x) const {
    return (x - mean[c]) * (inverse_std[c] * weight[c]) + bias[c];
  }
};

/// Of a window: the first of the largest, or the last NaN, as max_pool_forward has it.
std::size_t winner_of(const Norm& norm, std::size_t c, const Elements& x,
                      const std::vector<std::size_t>& seen) {
  std::size_t best = 0;
  for (std::size_t tap = 1; tap < seen.size(); ++tap) {
    const float value = norm(c, x[seen[tap]]);
    if (value > norm(c, x[seen[best]]) || std::isnan(value)) best = tap;
  }
  return best;
}

void expect_value(float actual, float expected, std::size_t i) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << i;
  } else {
    ASSERT_EQ(actual, expected) << i;
  }
}

struct Scratch {
  Scratch(std::int64_t rows, std::int32_t channels)
      : partials(column_partials_bytes(rows, channels)), arrived(column_counters(rows, channels)) {}
  ColumnScratch on_device() { return {partials.data(), arrived.data()}; }
  std::vector<std::byte> partials;
  std::vector<unsigned> arrived;
};

std::int64_t rows_of(const PoolShape& s) { return s.images * s.in.count(); }

std::vector<float> vector_of(std::int32_t channels) {
  return std::vector<float>(static_cast<std::size_t>(channels));
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
  for_each_output(s, [&](std::size_t c, std::size_t y, const std::vector<std::size_t>& seen) {
    const std::size_t tap = winner_of(norm, c, x, seen);
    const float best = norm(c, x[seen[tap]]);
    expect_value(t.y[y], rounded(s.dtype, best < 0.0f ? 0.0f : best), y);
    ASSERT_EQ(t.index[y], best <= 0.0f ? kNothingPasses : tap) << y;
    expect_value(t.winners[y], x[seen[tap]], y);
  });
}

/// Integers from -`most` to `most`: with few of them there are ties.
Elements integers(DType dtype, std::int64_t count, int most, std::uint32_t stream) {
  auto values = uniform(count, -most, most + 1, stream);
  for (float& value : values) value = std::floor(value);
  return {dtype, values};
}

template <typename Body>
void for_each_case(Body body) {
  for (const Case& c : kCases) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(testing::Message() << c.name << (dtype == DType::float32 ? "" : " in bf16"));
      body(c.shape(dtype));
    }
  }
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
    for_each_output(s, [&](std::size_t c, std::size_t i, const std::vector<std::size_t>& seen) {
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

struct BackwardInput {
  PoolShape shape;
  Elements x, winners, dy;
  std::vector<std::uint8_t> index;
  Norm norm;
};

/// With the winners of `norm`.
BackwardInput backward_input(const PoolShape& s, const Elements& x, const Elements& dy, const Norm& norm) {
  BackwardInput in{s, x, Elements(s.dtype, s.out_count()), dy, std::vector<std::uint8_t>(dy.size()), norm};
  for_each_output(s, [&](std::size_t c, std::size_t y, const std::vector<std::size_t>& seen) {
    const std::size_t tap = winner_of(norm, c, x, seen);
    in.winners.set(y, x[seen[tap]]);
    in.index[y] = norm(c, x[seen[tap]]) <= 0.0f ? kNothingPasses : static_cast<std::uint8_t>(tap);
  });
  return in;
}

struct Gradients {
  Elements dx;
  std::vector<float> dweight, dbias;
  std::vector<unsigned> arrived;
  bool operator==(const Gradients&) const = default;
};

Gradients run_backward(BackwardInput in, bool with_dx = true) {
  const PoolShape& s = in.shape;
  const std::vector<float> unwritten(static_cast<std::size_t>(s.in_count()), NAN);
  Gradients g{Elements(s.dtype, unwritten), vector_of(s.channels), vector_of(s.channels), {}};
  Scratch scratch(rows_of(s), s.channels);
  batch_norm_pool_backward(s,
                           {.x = in.x.data(),
                            .winners = in.winners.data(),
                            .index = in.index.data(),
                            .dy = in.dy.data(),
                            .dx = with_dx ? g.dx.data() : nullptr,
                            .weight = in.norm.weight.data(),
                            .saved_mean = in.norm.mean.data(),
                            .saved_inverse_std = in.norm.inverse_std.data(),
                            .dweight = g.dweight.data(),
                            .dbias = g.dbias.data(),
                            .scratch = scratch.on_device()},
                           nullptr);
  g.arrived = scratch.arrived;
  return g;
}

/// dL/d(normalised x), which is dy where a pixel won and 0 elsewhere.
std::vector<double> gradient_behind_norm(const BackwardInput& in) {
  std::vector<double> g(in.x.size());
  for_each_output(in.shape, [&](std::size_t, std::size_t y, const std::vector<std::size_t>& seen) {
    if (in.index[y] != kNothingPasses) g[seen[in.index[y]]] = in.dy[y];
  });
  return g;
}

void expect_backward(const BackwardInput& in, const Gradients& out) {
  const PoolShape& s = in.shape;
  const auto channels = static_cast<std::size_t>(s.channels);
  const auto rows = static_cast<double>(rows_of(s));
  const std::vector<double> g = gradient_behind_norm(in);
  for (std::size_t c = 0; c < channels; ++c) {
    const auto xhat = [&](std::size_t i) {
      return (in.x[i] - static_cast<double>(in.norm.mean[c])) * in.norm.inverse_std[c];
    };
    double dbias = 0, dweight = 0, magnitude_bias = 0, magnitude_weight = 0;
    for (std::size_t i = c; i < g.size(); i += channels) {
      dbias += g[i];
      dweight += g[i] * xhat(i);
      magnitude_bias += std::abs(g[i]);
      magnitude_weight += std::abs(g[i]) * (std::abs(xhat(i)) + 1);
    }
    // As in BatchNorm's backward: at most 52 additions for each term, and three roundings of the term itself.
    const double bias_tolerance = kEpsilon / 2 * 52 * magnitude_bias;
    const double weight_tolerance = kEpsilon / 2 * 56 * magnitude_weight;
    ASSERT_NEAR(out.dbias[c], dbias, bias_tolerance) << "channel " << c;
    ASSERT_NEAR(out.dweight[c], dweight, weight_tolerance) << "channel " << c;
    const double scale = static_cast<double>(in.norm.weight[c]) * in.norm.inverse_std[c];
    for (std::size_t i = c; i < g.size(); i += channels) {
      const double h = xhat(i);
      const double dx = scale * (g[i] - dbias / rows - h * dweight / rows);
      // Each of the three is rounded at most ten times, factors included.
      const double terms =
          std::abs(g[i]) + std::abs(dbias) / rows + (std::abs(h) + 1) * std::abs(dweight) / rows;
      const double tolerance = std::abs(scale) * ((bias_tolerance + std::abs(h) * weight_tolerance) / rows +
                                                  5 * kEpsilon * terms) +
                               out.dx.rounding() * std::abs(dx);
      ASSERT_NEAR(out.dx[i], dx, tolerance) << "element " << i << " channel " << c;
    }
  }
  EXPECT_EQ(out.arrived, std::vector<unsigned>(out.arrived.size()));
}

Norm norm_of(std::int32_t channels) {
  return {uniform(channels, -0.5, 0.5, 4), uniform(channels, 0.5, 2, 5), uniform(channels, -1.5, 1.5, 2),
          uniform(channels, -1, 1, 3)};
}

TEST(BatchNormPool, BackwardMatchesTheDoubleReference) {
  for_each_case([](const PoolShape& s) {
    const BackwardInput in =
        backward_input(s, Elements(s.dtype, uniform(s.in_count(), -2, 2, 1)),
                       Elements(s.dtype, uniform(s.out_count(), -1, 1, 7)), norm_of(s.channels));
    expect_backward(in, in_every_order([&] { return run_backward(in); }));
  });
}

// Small integers, powers of two, and a power of two of rows: no operation rounds.
TEST(BatchNormPool, BackwardOfIntegersIsExact) {
  const Case cases[] = {{"", 4, {8, 8}, 16, {2, 2}, {2, 2}},
                        {"", 2, {16, 8}, 3, {3, 2}, {4, 3}},
                        {"", 1, {4, 4}, 24, {2, 2}, {3, 3}}};
  for (const Case& one : cases) {
    const PoolShape s = one.shape(DType::float32);
    Norm norm;
    for (int c = 0; c < s.channels; ++c) {
      norm.mean.push_back(static_cast<float>(c % 3 - 1));
      norm.inverse_std.push_back(0.5f);
      norm.weight.push_back(c % 2 ? -2.0f : 4.0f);
      norm.bias.push_back(1.0f);
    }
    const BackwardInput in = backward_input(s, integers(s.dtype, s.in_count(), 3, 1),
                                            integers(s.dtype, s.out_count(), 4, 2), norm);
    const Gradients out = in_every_order([&] { return run_backward(in); });
    const std::vector<double> g = gradient_behind_norm(in);
    const auto channels = static_cast<std::size_t>(s.channels);
    for (std::size_t c = 0; c < channels; ++c) {
      double dbias = 0, dweight = 0;
      for (std::size_t i = c; i < g.size(); i += channels) {
        dbias += g[i];
        dweight += g[i] * (in.x[i] - norm.mean[c]) / 2;
      }
      ASSERT_EQ(out.dbias[c], dbias) << c;
      ASSERT_EQ(out.dweight[c], dweight) << c;
      const auto rows = static_cast<double>(rows_of(s));
      for (std::size_t i = c; i < g.size(); i += channels) {
        const double xhat = (in.x[i] - norm.mean[c]) / 2;
        ASSERT_EQ(out.dx[i], norm.weight[c] / 2 * (g[i] - dbias / rows - xhat * dweight / rows)) << i;
      }
    }
  }
}

TEST(BatchNormPool, WithoutDxTheParametersGradientsAreTheSame) {
  const PoolShape s = kCases[1].shape(DType::float32);
  const BackwardInput in = backward_input(s, Elements(s.dtype, uniform(s.in_count(), -2, 2, 1)),
                                          Elements(s.dtype, uniform(s.out_count(), -1, 1, 7)), norm_of(8));
  const Gradients with = run_backward(in), without = run_backward(in, false);
  EXPECT_EQ(without.dweight, with.dweight);
  EXPECT_EQ(without.dbias, with.dbias);
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
