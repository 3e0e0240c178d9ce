#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/batch_norm_math.h"
#include "kernels/pack.h"
#include "tests/host_kernels/column_scratch.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr float kMomentum = 0.1f;
constexpr float kBatchNormEpsilon = 1e-5f;

// The last ones cut their rows into several slabs.
constexpr struct {
  std::int64_t rows;
  std::int32_t channels;
} kShapes[] = {{1, 1},  {2, 1},    {5, 3},     {7, 6},    {100, 35},
               {3, 64}, {300, 35}, {1000, 16}, {4500, 2}, {9000, 1}};

struct Statistics {
  std::vector<double> mean, var, largest;  // biased; largest |x|
};

std::size_t at(std::int64_t row, std::int32_t channels, std::int32_t c) {
  return static_cast<std::size_t>(row * channels + c);
}

Statistics statistics(const BatchNormShape& shape, const Elements& x) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  Statistics s{std::vector<double>(channels), std::vector<double>(channels), std::vector<double>(channels)};
  const auto rows = static_cast<double>(shape.rows);
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    for (std::size_t c = 0; c < channels; ++c) {
      const double value = x[static_cast<std::size_t>(row) * channels + c];
      s.mean[c] += value / rows;
      s.largest[c] = std::max(s.largest[c], std::abs(value));
    }
  }
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    for (std::size_t c = 0; c < channels; ++c) {
      const double deviation = x[static_cast<std::size_t>(row) * channels + c] - s.mean[c];
      s.var[c] += deviation * deviation / rows;
    }
  }
  return s;
}

struct Trained {
  Elements y;
  std::vector<float> running_mean, running_var, saved_mean, saved_inverse_std;
  std::vector<unsigned> arrived;
  bool operator==(const Trained&) const = default;
};

Trained train(const BatchNormShape& shape, Elements x, bool relu) {
  const auto weight = uniform(shape.channels, 0.5, 1.5, 2);
  const auto bias = uniform(shape.channels, -1, 1, 3);
  const auto channels = static_cast<std::size_t>(shape.channels);
  Trained t{Elements(shape.dtype, shape.rows * shape.channels),
            uniform(shape.channels, -1, 1, 4),
            uniform(shape.channels, 0.5, 2, 5),
            std::vector<float>(channels),
            std::vector<float>(channels),
            {}};
  Scratch scratch(shape.rows, shape.channels);
  batch_norm_training(shape,
                      {.x = x.data(),
                       .y = t.y.data(),
                       .weight = weight.data(),
                       .bias = bias.data(),
                       .running_mean = t.running_mean.data(),
                       .running_var = t.running_var.data(),
                       .saved_mean = t.saved_mean.data(),
                       .saved_inverse_std = t.saved_inverse_std.data(),
                       .scratch = scratch.on_device(),
                       .epsilon = kBatchNormEpsilon,
                       .momentum = kMomentum,
                       .relu = relu},
                      nullptr);
  t.arrived = scratch.arrived;
  return t;
}

void compare_training(const BatchNormShape& shape, const Elements& x, bool relu, const Trained& t) {
  const Statistics s = statistics(shape, x);
  const auto weight = uniform(shape.channels, 0.5, 1.5, 2);
  const auto bias = uniform(shape.channels, -1, 1, 3);
  const auto old_mean = uniform(shape.channels, -1, 1, 4);
  const auto old_var = uniform(shape.channels, 0.5, 2, 5);
  for (std::int32_t channel = 0; channel < shape.channels; ++channel) {
    const auto c = static_cast<std::size_t>(channel);
    const double inverse_std = 1 / std::sqrt(s.var[c] + kBatchNormEpsilon);
    // A mean is rounded at the size of the values, and later values pull it back: a few roundings remain. A
    // deviation inherits that error, a variance twice that; E[x^2] - E[x]^2 would err by largest^2 instead.
    const double mean_tolerance = 8 * kEpsilon * s.largest[c];
    const double var_tolerance =
        16 * kEpsilon * s.var[c] + 4 * mean_tolerance * std::sqrt(s.var[c]) + mean_tolerance * mean_tolerance;
    ASSERT_NEAR(t.saved_mean[c], s.mean[c], mean_tolerance) << "channel " << c;
    const double relative = var_tolerance * inverse_std * inverse_std / 2 + 4 * kEpsilon;
    ASSERT_NEAR(t.saved_inverse_std[c], inverse_std, inverse_std * relative) << "channel " << c;
    const double unbiased =
        shape.rows > 1 ? s.var[c] * static_cast<double>(shape.rows) / static_cast<double>(shape.rows - 1)
                       : 0.0;
    ASSERT_NEAR(t.running_mean[c], 0.9 * old_mean[c] + 0.1 * s.mean[c], mean_tolerance + 4 * kEpsilon);
    ASSERT_NEAR(t.running_var[c], 0.9 * old_var[c] + 0.1 * unbiased, 2 * var_tolerance + 8 * kEpsilon);
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      const double xhat = (x[at(row, shape.channels, channel)] - s.mean[c]) * inverse_std;
      const double y = xhat * weight[c] + bias[c];
      const double tolerance = weight[c] * (mean_tolerance * inverse_std + std::abs(xhat) * relative) +
                               4 * kEpsilon * (std::abs(xhat * weight[c]) + 1) + t.y.rounding() * std::abs(y);
      ASSERT_NEAR(t.y[at(row, shape.channels, channel)], relu ? std::max(y, 0.0) : y, tolerance)
          << "row " << row << " channel " << c;
    }
  }
  EXPECT_EQ(t.arrived, std::vector<unsigned>(t.arrived.size()));
}

TEST(BatchNormKernels, FindTheChannelOfElementsBeyond32Bits) {
  constexpr std::int64_t kRange = std::int64_t{1} << 32;
  for (const unsigned channels : {1u, 3u, 16u, 1000003u, 0x7fffffffu}) {
    for (const std::int64_t element : {std::int64_t{0}, kRange - 1, kRange, kRange + 1, 1000 * kRange + 7}) {
      EXPECT_EQ(channel_of(element, channels), element % channels) << element << " of " << channels;
    }
  }
}

TEST(BatchNorm, TrainingMatchesTheDoubleReference) {
  for (const auto& [rows, channels] : kShapes) {
    for (const DType dtype : kDTypes) {
      for (const bool relu : {false, true}) {
        SCOPED_TRACE(testing::Message() << rows << "x" << channels << (relu ? " relu" : ""));
        const BatchNormShape shape{rows, channels, dtype};
        const Elements x(dtype, uniform(rows * channels, -2, 2, 1));
        compare_training(shape, x, relu, in_every_order([&] { return train(shape, x, relu); }));
      }
    }
  }
}

TEST(BatchNorm, AMeanFarFromZeroCostsTheVarianceNothing) {
  for (const auto& [rows, channels] : kShapes) {
    SCOPED_TRACE(testing::Message() << rows << "x" << channels);
    const BatchNormShape shape{rows, channels, DType::float32};
    const Elements x(DType::float32, uniform(rows * channels, 998, 1002, 1));
    compare_training(shape, x, false, train(shape, x, false));
  }
}

TEST(BatchNorm, EmptyTensorsEnqueueNothing) {
  const BatchNormShape shape{0, 3, DType::float32};
  const Elements x(DType::float32, 0);
  EXPECT_EQ(train(shape, x, false).running_mean, uniform(3, -1, 1, 4));
  EXPECT_NO_THROW(batch_norm_evaluation(shape, {}, nullptr));
  EXPECT_NO_THROW(batch_norm_backward(shape, {}, nullptr));
}

TEST(BatchNorm, EvaluationUsesTheRunningStatistics) {
  for (const auto& [rows, channels] : kShapes) {
    for (const DType dtype : kDTypes) {
      for (const bool relu : {false, true}) {
        const BatchNormShape shape{rows, channels, dtype};
        Elements x(dtype, uniform(rows * channels, -2, 2, 1));
        const auto weight = uniform(channels, 0.5, 1.5, 2), bias = uniform(channels, -1, 1, 3);
        const auto mean = uniform(channels, -1, 1, 4), var = uniform(channels, 0.5, 2, 5);
        const Elements y = in_every_order([&] {
          Elements result(dtype, rows * channels);
          batch_norm_evaluation(shape,
                                {.x = x.data(),
                                 .y = result.data(),
                                 .weight = weight.data(),
                                 .bias = bias.data(),
                                 .running_mean = mean.data(),
                                 .running_var = var.data(),
                                 .epsilon = kBatchNormEpsilon,
                                 .relu = relu},
                                nullptr);
          return result;
        });
        for (std::size_t i = 0; i < x.size(); ++i) {
          const std::size_t c = i % static_cast<std::size_t>(channels);
          const double scaled = (x[i] - static_cast<double>(mean[c])) /
                                std::sqrt(static_cast<double>(var[c]) + kBatchNormEpsilon) * weight[c];
          const double expected = relu ? std::max(scaled + bias[c], 0.0) : scaled + bias[c];
          // Seven roundings of terms no larger than these.
          ASSERT_NEAR(y[i], expected,
                      4 * kEpsilon * (std::abs(scaled) + 4) + y.rounding() * std::abs(expected));
        }
      }
    }
  }
}

struct Gradients {
  Elements dx;
  std::vector<float> dweight, dbias;
  bool operator==(const Gradients&) const = default;
};

struct BackwardInput {
  BatchNormShape shape;
  Elements x, y, dy;
  std::vector<float> weight, mean, inverse_std;
};

BackwardInput backward_input(const BatchNormShape& shape) {
  const std::int64_t count = shape.rows * shape.channels;
  BackwardInput in{shape,
                   Elements(shape.dtype, uniform(count, -2, 2, 1)),
                   Elements(shape.dtype, uniform(count, -1, 1, 6)),
                   Elements(shape.dtype, uniform(count, -1, 1, 7)),
                   uniform(shape.channels, 0.5, 1.5, 2),
                   {},
                   {}};
  for (std::size_t i = 0; i < in.y.size(); ++i) in.y.set(i, std::max(in.y[i], 0.0f));
  const Statistics s = statistics(shape, in.x);
  for (std::size_t c = 0; c < s.mean.size(); ++c) {
    in.mean.push_back(static_cast<float>(s.mean[c]));
    in.inverse_std.push_back(static_cast<float>(1 / std::sqrt(s.var[c] + kBatchNormEpsilon)));
  }
  return in;
}

Gradients run_backward(BackwardInput in, bool relu, bool with_dx = true) {
  const auto channels = static_cast<std::size_t>(in.shape.channels);
  Gradients g{Elements(in.shape.dtype, in.shape.rows * in.shape.channels), std::vector<float>(channels),
              std::vector<float>(channels)};
  Scratch scratch(in.shape.rows, in.shape.channels);
  batch_norm_backward(in.shape,
                      {.x = in.x.data(),
                       .y = relu ? in.y.data() : nullptr,
                       .dy = in.dy.data(),
                       .dx = with_dx ? g.dx.data() : nullptr,
                       .weight = in.weight.data(),
                       .saved_mean = in.mean.data(),
                       .saved_inverse_std = in.inverse_std.data(),
                       .dweight = g.dweight.data(),
                       .dbias = g.dbias.data(),
                       .scratch = scratch.on_device()},
                      nullptr);
  return g;
}

void compare_backward(const BackwardInput& in, bool relu, const Gradients& g) {
  const auto rows = static_cast<double>(in.shape.rows);
  const auto channels = in.shape.channels;
  for (std::int32_t channel = 0; channel < channels; ++channel) {
    const auto c = static_cast<std::size_t>(channel);
    const auto xhat = [&](std::int64_t row) {
      return (in.x[at(row, channels, channel)] - static_cast<double>(in.mean[c])) * in.inverse_std[c];
    };
    const auto dy = [&](std::int64_t row) {
      const std::size_t i = at(row, channels, channel);
      return relu && in.y[i] <= 0.0f ? 0.0 : static_cast<double>(in.dy[i]);
    };
    double dbias = 0, dweight = 0, magnitude_bias = 0, magnitude_weight = 0;
    for (std::int64_t row = 0; row < in.shape.rows; ++row) {
      dbias += dy(row);
      dweight += dy(row) * xhat(row);
      magnitude_bias += std::abs(dy(row));
      magnitude_weight += std::abs(dy(row)) * (std::abs(xhat(row)) + 1);
    }
    // As in BiasGradient: at most 52 additions for each term, and three roundings of the term itself.
    const double bias_tolerance = kEpsilon / 2 * 52 * magnitude_bias;
    const double weight_tolerance = kEpsilon / 2 * 56 * magnitude_weight;
    ASSERT_NEAR(g.dbias[c], dbias, bias_tolerance) << "channel " << c;
    ASSERT_NEAR(g.dweight[c], dweight, weight_tolerance) << "channel " << c;
    for (std::int64_t row = 0; row < in.shape.rows; ++row) {
      const double h = xhat(row);
      const double scale = static_cast<double>(in.weight[c]) * in.inverse_std[c];
      const double dx = scale * (dy(row) - dbias / rows - h * dweight / rows);
      const double terms =
          std::abs(dy(row)) + std::abs(dbias) / rows + (std::abs(h) + 1) * std::abs(dweight) / rows;
      const double tolerance =
          scale * ((bias_tolerance + std::abs(h) * weight_tolerance) / rows + 4 * kEpsilon * terms) +
          g.dx.rounding() * std::abs(dx);
      ASSERT_NEAR(g.dx[at(row, channels, channel)], dx, tolerance) << "row " << row << " channel " << c;
    }
  }
}

TEST(BatchNorm, BackwardMatchesTheDoubleReference) {
  for (const auto& [rows, channels] : kShapes) {
    for (const DType dtype : kDTypes) {
      for (const bool relu : {false, true}) {
        SCOPED_TRACE(testing::Message() << rows << "x" << channels << (relu ? " relu" : ""));
        const BackwardInput in = backward_input({rows, channels, dtype});
        compare_backward(in, relu, in_every_order([&] { return run_backward(in, relu); }));
      }
    }
  }
}

TEST(BatchNorm, WithoutDxTheParametersGradientsAreTheSame) {
  const BackwardInput in = backward_input({100, 6, DType::float32});
  const Gradients g = run_backward(in, true, false);
  EXPECT_EQ(g.dweight, run_backward(in, true).dweight);
  EXPECT_EQ(g.dx, Elements(DType::float32, 600));
}

TEST(Moments, AnEmptySetChangesNothing) {
  const Moments empty = {0, 0, 0};
  const Moments some = {2, 1e30f, 3};
  for (const Moments& m : {merged(empty, some), merged(some, empty)}) {
    EXPECT_EQ(m.count, 2);
    EXPECT_EQ(m.mean, 1e30f);
    EXPECT_EQ(m.squares, 3);
  }
  EXPECT_EQ(merged(empty, empty).count, 0);
}

TEST(ColumnTiling, CoversEveryRowAndChannelWithinItsLimits) {
  for (const std::int64_t rows : {0L, 1L, 255L, 4097L, 1000000L, 5000000000L}) {
    for (const std::int32_t channels : {0, 1, 2, 3, 31, 33, 64, 5000, 100000}) {
      SCOPED_TRACE(testing::Message() << rows << "x" << channels);
      const ColumnTiling t = tile_columns(rows, channels);
      EXPECT_EQ(t.width & (t.width - 1), 0u);
      EXPECT_LE(t.width, 32u);
      EXPECT_GE(std::int64_t{t.width} * t.tiles, channels);
      EXPECT_GE(t.slab_rows * t.slabs, rows);
      EXPECT_GE(t.slabs, 1u);
      EXPECT_LE(t.slabs, 512u);
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
