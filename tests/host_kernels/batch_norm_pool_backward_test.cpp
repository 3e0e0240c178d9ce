// Backward; batch_norm_pool_test.cpp has the way forward.
#include "tests/host_kernels/batch_norm_pool_support.h"

namespace convoy::kernels {
namespace {

struct BackwardInput {
  PoolShape shape;
  Elements x, winners, dy;
  std::vector<std::uint8_t> index;
  Norm norm;
};

/// With the winners of `norm`.
BackwardInput backward_input(const PoolShape& s, const Elements& x, const Elements& dy, const Norm& norm) {
  BackwardInput in{s, x, Elements(s.dtype, s.out_count()), dy, std::vector<std::uint8_t>(dy.size()), norm};
  for_each_output(s, [&](std::size_t y, const std::vector<std::size_t>& seen) {
    const std::size_t c = channel_of(s, y);
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
  for_each_output(in.shape, [&](std::size_t y, const std::vector<std::size_t>& seen) {
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

TEST(BatchNormPoolBackward, BackwardMatchesTheDoubleReference) {
  for_each_case([](const PoolShape& s) {
    const BackwardInput in =
        backward_input(s, Elements(s.dtype, uniform(s.in_count(), -2, 2, 1)),
                       Elements(s.dtype, uniform(s.out_count(), -1, 1, 7)), norm_of(s.channels));
    expect_backward(in, in_every_order([&] { return run_backward(in); }));
  });
}

// Small integers, powers of two, and a power of two of rows: no operation rounds.
TEST(BatchNormPoolBackward, BackwardOfIntegersIsExact) {
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

TEST(BatchNormPoolBackward, WithoutDxTheParametersGradientsAreTheSame) {
  const PoolShape s = kCases[1].shape(DType::float32);
  const BackwardInput in = backward_input(s, Elements(s.dtype, uniform(s.in_count(), -2, 2, 1)),
                                          Elements(s.dtype, uniform(s.out_count(), -1, 1, 7)), norm_of(8));
  const Gradients with = run_backward(in), without = run_backward(in, false);
  EXPECT_EQ(without.dweight, with.dweight);
  EXPECT_EQ(without.dbias, with.dbias);
}

}  // namespace
}  // namespace convoy::kernels
