#include "kernels/group_norm.h"

#include <algorithm>
#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr float kGroupNormEpsilon = 1e-5f;

// Packs that hold several images, groups that are one channel, all of them and anything between, more
// elements than a block has threads, and rows that are cut into several slabs.
constexpr struct {
  std::int64_t images, pixels;
  std::int32_t channels, groups;
} kShapes[] = {{1, 1, 1, 1},   {5, 1, 1, 1},   {3, 1, 6, 3}, {2, 7, 6, 2},     {3, 20, 17, 17},
               {2, 9, 64, 32}, {2, 49, 35, 5}, {7, 3, 2, 1}, {1, 1000, 12, 3}, {2, 2300, 2, 1}};

GroupNormShape shape_of(const auto& s, DType dtype) {
  return {s.images, s.pixels, s.channels, s.groups, dtype};
}

std::size_t statistics_count(const GroupNormShape& s) {
  return static_cast<std::size_t>(s.images * s.groups);
}

/// Which group's statistics an element of NHWC memory has.
std::size_t group_at(const GroupNormShape& s, std::size_t i) {
  const auto channels = static_cast<std::size_t>(s.channels);
  const auto groups = static_cast<std::size_t>(s.groups);
  const std::size_t image = i / (static_cast<std::size_t>(s.pixels) * channels);
  return image * groups + i % channels / (channels / groups);
}

std::size_t channel_at(const GroupNormShape& s, std::size_t i) {
  return i % static_cast<std::size_t>(s.channels);
}

double group_size(const GroupNormShape& s) { return static_cast<double>(s.pixels * s.channels / s.groups); }

/// How many additions each term of a block's sum of a group takes part in, at most: those of its thread, and
/// ten levels of a tree.
double block_additions(const GroupNormShape& s) { return std::ceil(group_size(s) / 256) + 10; }

struct Statistics {
  std::vector<double> mean, var, largest;  // biased; largest |x|
};

Statistics statistics(const GroupNormShape& shape, const Elements& x) {
  const std::size_t count = statistics_count(shape);
  Statistics s{std::vector<double>(count), std::vector<double>(count), std::vector<double>(count)};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t group = group_at(shape, i);
    s.mean[group] += x[i] / group_size(shape);
    s.largest[group] = std::max<double>(s.largest[group], std::abs(x[i]));
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double deviation = x[i] - s.mean[group_at(shape, i)];
    s.var[group_at(shape, i)] += deviation * deviation / group_size(shape);
  }
  return s;
}

struct Normalised {
  Elements y;
  std::vector<float> mean, inverse_std;
  bool operator==(const Normalised&) const = default;
};

Normalised normalise(const GroupNormShape& shape, Elements x, bool affine) {
  const auto weight = uniform(shape.channels, 0.5, 1.5, 2), bias = uniform(shape.channels, -1, 1, 3);
  const std::size_t count = statistics_count(shape);
  Normalised n{Elements(shape.dtype, shape.count()), std::vector<float>(count), std::vector<float>(count)};
  group_norm_forward(shape,
                     {.x = x.data(),
                      .y = n.y.data(),
                      .weight = affine ? weight.data() : nullptr,
                      .bias = affine ? bias.data() : nullptr,
                      .saved_mean = n.mean.data(),
                      .saved_inverse_std = n.inverse_std.data(),
                      .epsilon = kGroupNormEpsilon},
                     nullptr);
  return n;
}

void compare_forward(const GroupNormShape& shape, const Elements& x, bool affine, const Normalised& n) {
  const Statistics s = statistics(shape, x);
  const auto weight = uniform(shape.channels, 0.5, 1.5, 2), bias = uniform(shape.channels, -1, 1, 3);
  std::vector<double> mean_tolerance, relative;
  for (std::size_t g = 0; g < s.mean.size(); ++g) {
    // The first mean is off by the additions' roundings. What is left of the second, made of deviations from
    // it, is rounding of the deviations, each at the size of the values, and of the sum of both.
    mean_tolerance.push_back(4 * kEpsilon * s.largest[g]);
    // Each square inherits twice the rounding of its deviation, and the sum's additions round it.
    const double variance_tolerance = kEpsilon / 2 * (block_additions(shape) + 8) * s.var[g] +
                                      4 * kEpsilon * s.largest[g] * std::sqrt(s.var[g]) +
                                      std::pow(kEpsilon * block_additions(shape) * s.largest[g], 2);
    const double inverse_std = 1 / std::sqrt(s.var[g] + kGroupNormEpsilon);
    relative.push_back(variance_tolerance * inverse_std * inverse_std / 2 + 4 * kEpsilon);
    ASSERT_NEAR(n.mean[g], s.mean[g], mean_tolerance[g]) << "group " << g;
    ASSERT_NEAR(n.inverse_std[g], inverse_std, inverse_std * relative[g]) << "group " << g;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t g = group_at(shape, i), c = channel_at(shape, i);
    const double inverse_std = 1 / std::sqrt(s.var[g] + kGroupNormEpsilon);
    const double xhat = (x[i] - s.mean[g]) * inverse_std;
    const double w = affine ? weight[c] : 1.0, y = xhat * w + (affine ? bias[c] : 0.0);
    const double tolerance = w * (mean_tolerance[g] * inverse_std + std::abs(xhat) * relative[g]) +
                             4 * kEpsilon * (std::abs(xhat * w) + 1) + n.y.rounding() * std::abs(y);
    ASSERT_NEAR(n.y[i], y, tolerance) << "element " << i;
  }
}

TEST(GroupNorm, ForwardMatchesTheDoubleReference) {
  for (const auto& s : kShapes) {
    for (const DType dtype : kDTypes) {
      for (const bool affine : {false, true}) {
        const GroupNormShape shape = shape_of(s, dtype);
        SCOPED_TRACE(testing::Message() << s.images << "x" << s.pixels << "x" << s.channels);
        const Elements x(dtype, uniform(shape.count(), -2, 2, 1));
        compare_forward(shape, x, affine, in_every_order([&] { return normalise(shape, x, affine); }));
      }
    }
  }
}

TEST(GroupNorm, AMeanFarFromZeroCostsTheVarianceNothing) {
  for (const auto& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.images << "x" << s.pixels << "x" << s.channels);
    const GroupNormShape shape = shape_of(s, DType::float32);
    const Elements x(DType::float32, uniform(shape.count(), 998, 1002, 1));
    compare_forward(shape, x, true, normalise(shape, x, true));
  }
}

struct Gradients {
  Elements dx;
  std::vector<float> dweight, dbias;
  std::vector<unsigned> arrived;
  bool operator==(const Gradients&) const = default;
};

struct BackwardInput {
  GroupNormShape shape;
  Elements x, dy;
  std::vector<float> weight, mean, inverse_std;
};

BackwardInput backward_input(const GroupNormShape& shape) {
  BackwardInput in{shape,
                   Elements(shape.dtype, uniform(shape.count(), -2, 2, 1)),
                   Elements(shape.dtype, uniform(shape.count(), -1, 1, 7)),
                   uniform(shape.channels, 0.5, 1.5, 2),
                   {},
                   {}};
  const Statistics s = statistics(shape, in.x);
  for (std::size_t g = 0; g < s.mean.size(); ++g) {
    in.mean.push_back(static_cast<float>(s.mean[g]));
    in.inverse_std.push_back(static_cast<float>(1 / std::sqrt(s.var[g] + kGroupNormEpsilon)));
  }
  return in;
}

struct Wanted {
  bool dx = true;
  bool parameters = true;
  bool affine = true;
};

Gradients run_backward(BackwardInput in, const Wanted& wanted = {}) {
  const auto channels = static_cast<std::size_t>(in.shape.channels);
  const std::size_t count = statistics_count(in.shape);
  std::vector<float> mean_g(count), mean_g_xhat(count);
  std::vector<std::byte> partials(column_partials_bytes(in.shape.rows(), in.shape.channels));
  Gradients g{Elements(in.shape.dtype, in.shape.count()), std::vector<float>(channels),
              std::vector<float>(channels),
              std::vector<unsigned>(column_counters(in.shape.rows(), in.shape.channels))};
  group_norm_backward(in.shape,
                      {.x = in.x.data(),
                       .dy = in.dy.data(),
                       .dx = wanted.dx ? g.dx.data() : nullptr,
                       .weight = wanted.affine ? in.weight.data() : nullptr,
                       .saved_mean = in.mean.data(),
                       .saved_inverse_std = in.inverse_std.data(),
                       .mean_g = wanted.dx ? mean_g.data() : nullptr,
                       .mean_g_xhat = wanted.dx ? mean_g_xhat.data() : nullptr,
                       .dweight = wanted.parameters ? g.dweight.data() : nullptr,
                       .dbias = wanted.parameters ? g.dbias.data() : nullptr,
                       .scratch = {partials.data(), g.arrived.data()}},
                      nullptr);
  return g;
}

/// A sum, and what it may be off by: that many times half an epsilon of the sum of its terms' magnitudes.
struct SumOf {
  double sum = 0, magnitude = 0;
  void add(double term, double size) {
    sum += term;
    magnitude += size;
  }
};

void compare_backward(const BackwardInput& in, bool affine, const Gradients& g) {
  const auto xhat = [&](std::size_t i) {
    const std::size_t group = group_at(in.shape, i);
    return (in.x[i] - static_cast<double>(in.mean[group])) * in.inverse_std[group];
  };
  const auto weight = [&](std::size_t i) {
    return affine ? double{in.weight[channel_at(in.shape, i)]} : 1.0;
  };
  std::vector<SumOf> dweight(g.dweight.size()), dbias(g.dbias.size());
  std::vector<SumOf> of_g(in.mean.size()), of_g_xhat(in.mean.size());
  for (std::size_t i = 0; i < in.x.size(); ++i) {
    const double dy = in.dy[i], h = xhat(i), size = std::abs(dy) * (std::abs(h) + 1);
    dbias[channel_at(in.shape, i)].add(dy, std::abs(dy));
    dweight[channel_at(in.shape, i)].add(dy * h, size);
    of_g[group_at(in.shape, i)].add(weight(i) * dy, weight(i) * std::abs(dy));
    of_g_xhat[group_at(in.shape, i)].add(weight(i) * dy * h, weight(i) * size);
  }
  // As in BatchNorm: at most 52 additions for each term, and roundings of the term itself.
  for (std::size_t c = 0; c < dweight.size(); ++c) {
    ASSERT_NEAR(g.dbias[c], dbias[c].sum, kEpsilon / 2 * 52 * dbias[c].magnitude) << "channel " << c;
    ASSERT_NEAR(g.dweight[c], dweight[c].sum, kEpsilon / 2 * 56 * dweight[c].magnitude) << "channel " << c;
  }
  const double size = group_size(in.shape), roundings = kEpsilon / 2 * (block_additions(in.shape) + 6);
  for (std::size_t i = 0; i < in.x.size(); ++i) {
    const std::size_t group = group_at(in.shape, i);
    const double h = xhat(i), inverse_std = in.inverse_std[group];
    const SumOf &a = of_g[group], &b = of_g_xhat[group];
    const double dx = inverse_std * (weight(i) * in.dy[i] - a.sum / size - h * b.sum / size);
    const double terms =
        weight(i) * std::abs(in.dy[i]) + std::abs(a.sum) / size + (std::abs(h) + 1) * std::abs(b.sum) / size;
    const double tolerance =
        inverse_std * (roundings * (a.magnitude + std::abs(h) * b.magnitude) / size + 4 * kEpsilon * terms) +
        g.dx.rounding() * std::abs(dx);
    ASSERT_NEAR(g.dx[i], dx, tolerance) << "element " << i;
  }
  EXPECT_EQ(g.arrived, std::vector<unsigned>(g.arrived.size()));
}

TEST(GroupNorm, BackwardMatchesTheDoubleReference) {
  for (const auto& s : kShapes) {
    for (const DType dtype : kDTypes) {
      for (const bool affine : {false, true}) {
        SCOPED_TRACE(testing::Message() << s.images << "x" << s.pixels << "x" << s.channels);
        const BackwardInput in = backward_input(shape_of(s, dtype));
        compare_backward(in, affine, in_every_order([&] { return run_backward(in, {.affine = affine}); }));
      }
    }
  }
}

TEST(GroupNorm, WhatNobodyNeedsIsNotComputed) {
  const BackwardInput in = backward_input({3, 20, 6, 2, DType::float32});
  const Gradients all = run_backward(in);
  const Gradients parameters = run_backward(in, {.dx = false});
  EXPECT_EQ(parameters.dweight, all.dweight);
  EXPECT_EQ(parameters.dbias, all.dbias);
  EXPECT_EQ(parameters.dx, Elements(DType::float32, 360));
  const Gradients input = run_backward(in, {.parameters = false});
  EXPECT_EQ(input.dx, all.dx);
  EXPECT_EQ(input.dweight, std::vector<float>(6));
}

TEST(GroupNorm, EmptyTensorsEnqueueNothing) {
  const GroupNormShape shape{0, 3, 4, 2, DType::float32};
  EXPECT_NO_THROW(group_norm_forward(shape, {}, nullptr));
  EXPECT_NO_THROW(group_norm_backward(shape, {}, nullptr));
}

}  // namespace
}  // namespace convoy::kernels
