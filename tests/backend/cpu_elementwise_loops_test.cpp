// The loops that go through tensors and parameters number by number, on every one of Highway's targets that
// the processor has: the same bits as the arithmetic of one number. CMakeLists.txt compiles both without
// fused multiplication and addition.
#include <gtest/gtest.h>
#include <hwy/tests/hwy_gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/backend/cpu/optimizer_loops.h"
#include "engine/core/philox.h"
#include "kernels/adam_math.h"
#include "kernels/average_math.h"
#include "kernels/sgd_math.h"
#include "tests/backend/same_bits.h"

namespace convoy::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Fewer than any vector has, a vector of some, tails behind one and many.
constexpr std::int64_t kSizes[] = {1, 3, 16, 55, 1031};

class CpuElementwiseLoops : public hwy::TestWithParamTarget {};
HWY_TARGET_INSTANTIATE_TEST_SUITE_P(CpuElementwiseLoops);

/// Memory that begins where no vector is aligned, with a number behind its end that must stay.
struct Floats {
  explicit Floats(std::int64_t count) : values(static_cast<std::size_t>(count) + 2, 7.0f) {}
  Floats(std::int64_t count, PhiloxSequence& random, double low = -1.0) : Floats(count) {
    for (std::int64_t i = 0; i < count; ++i) at(i) = static_cast<float>(random.uniform(low, 1.0));
  }

  float* data() { return values.data() + 1; }
  float& at(std::int64_t i) { return values[static_cast<std::size_t>(i) + 1]; }
  std::int64_t count() const { return std::ssize(values) - 2; }

  std::vector<float> values;
};

void expect_same(const Floats& actual, const Floats& expected, const char* what) {
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    EXPECT_TRUE(same_bits(actual.values[i], expected.values[i]))
        << what << " of number " << i << ": " << actual.values[i] << ", not " << expected.values[i];
  }
}

TEST_P(CpuElementwiseLoops, AddAndMultiply) {
  for (const std::int64_t count : kSizes) {
    SCOPED_TRACE(count);
    PhiloxSequence random({8, 0});
    Floats a(count, random), b(count, random), sum(count), product(count), expected_sum(count),
        expected_product(count);
    a.at(count / 2) = kNan;
    for (std::int64_t i = 0; i < count; ++i) {
      expected_sum.at(i) = a.at(i) + b.at(i);
      expected_product.at(i) = a.at(i) * b.at(i);
    }
    add(a.data(), b.data(), sum.data(), count);
    multiply(a.data(), b.data(), product.data(), count);
    expect_same(sum, expected_sum, "sum");
    expect_same(product, expected_product, "product");
  }
}

TEST_P(CpuElementwiseLoops, ReluPassesWhatIsAboveZeroAndNan) {
  constexpr float kValues[] = {0.0f, -0.0f, -1.0f, 2.5f, kNan, -kInfinity, kInfinity, 1e-45f, -1e-45f};
  for (const std::int64_t count : kSizes) {
    SCOPED_TRACE(count);
    PhiloxSequence random({9, 0});
    Floats y(count), from(count, random), to(count), expected(count), behind(count);
    for (std::int64_t i = 0; i < count; ++i) {
      y.at(i) = kValues[random.below(std::size(kValues))];
      if (i % 5 == 0) from.at(i) = kNan;
      expected.at(i) = y.at(i) > 0.0f || std::isnan(y.at(i)) ? from.at(i) : 0.0f;
      behind.at(i) = y.at(i) > 0.0f || std::isnan(y.at(i)) ? y.at(i) : 0.0f;
    }
    mask_by_relu(y.data(), from.data(), to.data(), count);
    expect_same(to, expected, "gradient");
    mask_by_relu(y.data(), y.data(), y.data(), count);
    expect_same(y, behind, "value, in place,");
  }
}

TEST_P(CpuElementwiseLoops, Adam) {
  const StepScalars scalars{
      .step = 3, .learning_rate = 1e-3f, .step_size = 3.7e-3f, .inverse_sqrt_bias2 = 18.3f, .beta1 = 0.9f};
  for (const std::int64_t count : kSizes) {
    for (const bool decoupled : {false, true}) {
      SCOPED_TRACE(testing::Message() << count << (decoupled ? ", decoupled decay" : ""));
      const AdamOptions options{.weight_decay = 0.01f, .decoupled_weight_decay = decoupled};
      PhiloxSequence random({10, 0});
      Floats parameters(count, random), gradients(count, random), first(count, random),
          second(count, random, 0.0);
      Floats expected = parameters, expected_first = first, expected_second = second;
      for (std::int64_t i = 0; i < count; ++i) {
        expected.at(i) = adam_update(expected.at(i), gradients.at(i), expected_first.at(i),
                                     expected_second.at(i), scalars, options);
      }
      update_by_adam({.parameters = parameters.data(),
                      .gradients = gradients.data(),
                      .first = first.data(),
                      .second = second.data(),
                      .count = count},
                     scalars, options);
      expect_same(parameters, expected, "parameter");
      expect_same(first, expected_first, "first moment");
      expect_same(second, expected_second, "second moment");
    }
  }
}

TEST_P(CpuElementwiseLoops, SgdWithAndWithoutMomentum) {
  for (const std::int64_t count : kSizes) {
    for (const bool with_momentum : {false, true}) {
      SCOPED_TRACE(testing::Message() << count << (with_momentum ? ", momentum" : ""));
      const StepScalars scalars{.step = 3, .learning_rate = 0.1f, .momentum = with_momentum ? 0.9f : 0.0f};
      const SgdOptions options{.weight_decay = 0.01f, .nesterov = with_momentum};
      PhiloxSequence random({11, 0});
      Floats parameters(count, random), gradients(count, random), momentum(count, random);
      Floats expected = parameters, expected_momentum = momentum;
      for (std::int64_t i = 0; i < count; ++i) {
        float none = 0.0f;
        expected.at(i) = sgd_update(expected.at(i), gradients.at(i),
                                    with_momentum ? expected_momentum.at(i) : none, scalars, options);
      }
      update_by_sgd({.parameters = parameters.data(),
                     .gradients = gradients.data(),
                     .momentum = with_momentum ? momentum.data() : nullptr,
                     .count = count},
                    scalars, options);
      expect_same(parameters, expected, "parameter");
      expect_same(momentum, expected_momentum, "momentum");
    }
  }
}

TEST_P(CpuElementwiseLoops, Average) {
  for (const std::int64_t count : kSizes) {
    for (const float samples : {1.0f, 7.0f}) {
      SCOPED_TRACE(testing::Message() << count << ", " << samples << " samples");
      PhiloxSequence random({12, 0});
      Floats values(count, random), means(count, random);
      Floats expected = means;
      for (std::int64_t i = 0; i < count; ++i) {
        expected.at(i) = averaged(expected.at(i), values.at(i), samples);
      }
      average(values.data(), means.data(), count, samples);
      expect_same(means, expected, "mean");
    }
  }
}

}  // namespace
}  // namespace convoy::cpu
