#include "kernels/linear.h"

#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

struct Extents {
  std::int64_t rows, in, out;
};

constexpr Extents kExtents[] = {{0, 4, 4},   {1, 1, 1},     {3, 5, 2}, {16, 16, 16},
                                {17, 33, 1}, {100, 49, 10}, {4, 0, 3}, {2, 100, 35}};

std::vector<float> small_integers(std::int64_t count, std::uint32_t stream) {
  auto values = uniform(count, -2, 3, stream);
  for (float& value : values) value = std::floor(value);
  return values;
}

Elements run(const Extents& e, Elements x, Elements weight, const std::vector<float>& bias) {
  Elements y(x.dtype(), e.rows * e.out);
  linear_forward({.x = x.data(),
                  .weight = weight.data(),
                  .bias = bias.empty() ? nullptr : bias.data(),
                  .y = y.data(),
                  .dtype = x.dtype(),
                  .rows = e.rows,
                  .in_features = e.in,
                  .out_features = e.out},
                 nullptr);
  return y;
}

/// The exact value and the sum of the terms' magnitudes.
std::pair<double, double> reference(const Extents& e, const Elements& x, const Elements& weight, double bias,
                                    std::int64_t row, std::int64_t out) {
  double sum = bias, magnitude = std::abs(bias);
  for (std::int64_t k = 0; k < e.in; ++k) {
    const double term = static_cast<double>(x[static_cast<std::size_t>(row * e.in + k)]) *
                        weight[static_cast<std::size_t>(out * e.in + k)];
    sum += term;
    magnitude += std::abs(term);
  }
  return {sum, magnitude};
}

// Sums of up to 100 products below 5 fit a bf16's 8 bits only rounded, but are exact in fp32.
TEST(Linear, IntegersAreExactButForTheLastRounding) {
  for (const DType dtype : kDTypes) {
    for (const Extents& e : kExtents) {
      SCOPED_TRACE(testing::Message() << e.rows << "x" << e.in << "x" << e.out);
      const Elements x(dtype, small_integers(e.rows * e.in, 1));
      const Elements weight(dtype, small_integers(e.out * e.in, 2));
      for (const bool with_bias : {false, true}) {
        const auto bias = with_bias ? small_integers(e.out, 3) : std::vector<float>{};
        const Elements y = in_every_order([&] { return run(e, x, weight, bias); });
        for (std::int64_t i = 0; i < e.rows * e.out; ++i) {
          const double b = with_bias ? bias[static_cast<std::size_t>(i % e.out)] : 0.0;
          const auto exact = static_cast<float>(reference(e, x, weight, b, i / e.out, i % e.out).first);
          ASSERT_EQ(y[static_cast<std::size_t>(i)], rounded(dtype, exact)) << i;
        }
      }
    }
  }
}

TEST(Linear, RealsAreWithinTheirRoundings) {
  for (const DType dtype : kDTypes) {
    for (const Extents& e : kExtents) {
      const Elements x(dtype, uniform(e.rows * e.in, -1, 1, 1));
      const Elements weight(dtype, uniform(e.out * e.in, -1, 1, 2));
      const auto bias = uniform(e.out, -1, 1, 3);
      const Elements y = run(e, x, weight, bias);
      for (std::int64_t i = 0; i < e.rows * e.out; ++i) {
        const auto [sum, magnitude] =
            reference(e, x, weight, bias[static_cast<std::size_t>(i % e.out)], i / e.out, i % e.out);
        // Each product and each addition rounds once, by half an epsilon of at most `magnitude`.
        const double tolerance =
            kEpsilon * static_cast<double>(e.in + 1) * magnitude + y.rounding() * std::abs(sum);
        ASSERT_NEAR(y[static_cast<std::size_t>(i)], sum, tolerance);
      }
    }
  }
}

TEST(BiasGradient, IsTheSumOfEachColumn) {
  struct Matrix {
    std::int64_t rows;
    std::int32_t channels;
  };
  // The last four cut their rows into several slabs.
  for (const Matrix m : {Matrix{0, 3}, Matrix{1, 1}, Matrix{5, 0}, Matrix{100, 10}, Matrix{3, 33},
                         Matrix{9000, 1}, Matrix{1025, 6}, Matrix{500, 35}, Matrix{300, 128}}) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(testing::Message() << m.rows << "x" << m.channels);
      Elements dy(dtype, uniform(m.rows * m.channels, -1, 1, 1));
      std::vector<unsigned> arrived(column_counters(m.rows, m.channels));
      const auto sums = in_every_order([&] {
        std::vector<float> result(static_cast<std::size_t>(m.channels), NAN);
        std::vector<std::byte> partials(column_partials_bytes(m.rows, m.channels));
        bias_gradient({.dy = dy.data(),
                       .dbias = result.data(),
                       .dtype = dtype,
                       .rows = m.rows,
                       .channels = m.channels,
                       .scratch = {partials.data(), arrived.data()}},
                      nullptr);
        return result;
      });
      EXPECT_EQ(arrived, std::vector<unsigned>(arrived.size()));
      for (std::int32_t c = 0; c < m.channels; ++c) {
        double sum = 0.0, magnitude = 0.0;
        for (std::int64_t row = 0; row < m.rows; ++row) {
          const double value = dy[static_cast<std::size_t>(row * m.channels + c)];
          sum += value;
          magnitude += std::abs(value);
        }
        // A value takes part in at most 18 additions within a thread, 8 levels of a tree, and those again.
        ASSERT_NEAR(sums[static_cast<std::size_t>(c)], sum, kEpsilon / 2 * 52 * magnitude);
      }
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
