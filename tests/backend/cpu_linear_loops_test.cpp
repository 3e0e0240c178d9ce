// The loops of a linear layer of few outputs on every one of Highway's targets that the processor has. All
// numbers are small integers, so that every sum is exact in floats, and the order of its terms does not show.
#include <gtest/gtest.h>
#include <hwy/tests/hwy_gtest.h>

#include <vector>

#include "engine/backend/cpu/linear_loops.h"
#include "engine/core/philox.h"

namespace convoy::cpu {
namespace {

class CpuLinearLoops : public hwy::TestWithParamTarget {};
HWY_TARGET_INSTANTIATE_TEST_SUITE_P(CpuLinearLoops);

struct Case {
  std::int64_t images, inputs, outputs;
};

// Fewer than the loops take at once, as many, more, and several times as many with a rest.
constexpr Case kCases[] = {{1, 1, 1}, {4, 16, 2}, {5, 33, 5}, {3, 40, 10}, {9, 100, 16}, {8, 64, 7}};

class Numbers {
 public:
  std::vector<float> some(std::int64_t count) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random_.below(9)) - 4.0f);
    return values;
  }

 private:
  PhiloxSequence random_{{17, 0}};
};

std::vector<Bfloat16> as_bf16(const std::vector<float>& values) {
  std::vector<Bfloat16> all;
  for (const float value : values) all.push_back(rounded(value));
  return all;
}

/// Sum over k < count of a[k a_step] b[k b_step].
float product(const float* a, std::int64_t a_step, const float* b, std::int64_t b_step, std::int64_t count) {
  float sum = 0.0f;
  for (std::int64_t k = 0; k < count; ++k) sum += a[k * a_step] * b[k * b_step];
  return sum;
}

TEST_P(CpuLinearLoops, ForwardMultipliesByTheWeights) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.images << " images, " << c.inputs << " to " << c.outputs);
    Numbers numbers;
    const auto x = numbers.some(c.images * c.inputs), w = numbers.some(c.outputs * c.inputs);
    const auto bias = numbers.some(c.outputs);
    const auto half = as_bf16(x);
    std::vector<float> y(static_cast<std::size_t>(c.images * c.outputs)), of_half(y), without_bias(y);
    multiply_by_weights({x.data(), w.data(), bias.data(), y.data(), c.images, c.inputs, c.outputs});
    multiply_by_weights({half.data(), w.data(), bias.data(), of_half.data(), c.images, c.inputs, c.outputs});
    multiply_by_weights({x.data(), w.data(), nullptr, without_bias.data(), c.images, c.inputs, c.outputs});
    for (std::int64_t i = 0; i < c.images * c.outputs; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::int64_t n = i / c.outputs, o = i % c.outputs;
      const float expected = product(&x[static_cast<std::size_t>(n * c.inputs)], 1,
                                     &w[static_cast<std::size_t>(o * c.inputs)], 1, c.inputs);
      EXPECT_EQ(y[at], expected + bias[static_cast<std::size_t>(o)]) << i;
      EXPECT_EQ(of_half[at], y[at]) << i;
      EXPECT_EQ(without_bias[at], expected) << i;
    }
  }
}

// dx goes to bf16, too: at most 16 products of at most 16, which 8 bits do not hold all.
TEST_P(CpuLinearLoops, BackwardMultipliesByTheGradient) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.images << " images, " << c.inputs << " to " << c.outputs);
    Numbers numbers;
    const auto dy = numbers.some(c.images * c.outputs), w = numbers.some(c.outputs * c.inputs);
    std::vector<float> dx(static_cast<std::size_t>(c.images * c.inputs));
    std::vector<Bfloat16> half(dx.size());
    differentiate_linear({dy.data(), w.data(), dx.data(), c.images, c.inputs, c.outputs});
    differentiate_linear({dy.data(), w.data(), half.data(), c.images, c.inputs, c.outputs});
    for (std::int64_t i = 0; i < c.images * c.inputs; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const float expected = product(&dy[static_cast<std::size_t>(i / c.inputs * c.outputs)], 1,
                                     &w[static_cast<std::size_t>(i % c.inputs)], c.inputs, c.outputs);
      EXPECT_EQ(dx[at], expected) << i;
      EXPECT_EQ(half[at].bits, rounded(expected).bits) << i;
    }
  }
}

TEST_P(CpuLinearLoops, WeightGradientsSumOverTheImages) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.images << " images, " << c.inputs << " to " << c.outputs);
    Numbers numbers;
    const auto dy = numbers.some(c.images * c.outputs), x = numbers.some(c.images * c.inputs);
    const auto half = as_bf16(x);
    std::vector<float> dw(static_cast<std::size_t>(c.outputs * c.inputs), 0.5f), of_half(dw);
    const std::int64_t begin = c.inputs / 3, end = c.inputs - c.inputs / 4;  // the others stay
    multiply_by_inputs({dy.data(), x.data(), dw.data(), c.images, c.inputs, c.outputs, begin, end});
    multiply_by_inputs({dy.data(), half.data(), of_half.data(), c.images, c.inputs, c.outputs, begin, end});
    for (std::int64_t i = 0; i < c.outputs * c.inputs; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::int64_t o = i / c.inputs, k = i % c.inputs;
      const float expected = k < begin || k >= end
                                 ? 0.5f
                                 : product(&dy[static_cast<std::size_t>(o)], c.outputs,
                                           &x[static_cast<std::size_t>(k)], c.inputs, c.images);
      EXPECT_EQ(dw[at], expected) << i;
      EXPECT_EQ(of_half[at], expected) << i;
    }
  }
}

}  // namespace
}  // namespace convoy::cpu
