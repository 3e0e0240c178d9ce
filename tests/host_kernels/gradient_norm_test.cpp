#include "kernels/gradient_norm.h"

#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

struct Measured {
  ClippedNorm result;
  unsigned arrived = 0;
  bool operator==(const Measured& other) const {
    return result.norm == other.result.norm && result.factor == other.result.factor &&
           arrived == other.arrived;
  }
};

Measured measure(const std::vector<float>& gradients, float max_norm) {
  std::vector<double> partials(kNormBlocks, NAN);
  Measured measured;
  for (int launch = 0; launch < 2; ++launch) {  // the second finds what the first leaves
    measure_gradient_norm({.gradients = gradients.data(),
                           .count = static_cast<std::int64_t>(gradients.size()),
                           .max_norm = max_norm,
                           .partials = partials.data(),
                           .arrived = &measured.arrived,
                           .result = &measured.result},
                          nullptr);
  }
  return measured;
}

// One block, several, and so many that each has more than one round.
TEST(GradientNorm, IsThatOfADoubleSumAndClipsAsPyTorchDoes) {
  for (const std::int64_t count : {1, 3, 4, 5, 1023, 1024, 1025, 9001, 600001}) {
    SCOPED_TRACE(count);
    const auto gradients = uniform(count, -1, 1, 3);
    double squares = 0.0;
    for (const float gradient : gradients) squares += static_cast<double>(gradient) * gradient;
    const double norm = std::sqrt(squares);
    for (const double part : {0.5, 2.0}) {
      const auto max_norm = static_cast<float>(part * norm);
      const Measured measured = in_every_order([&] { return measure(gradients, max_norm); });
      // The sum errs by roundings of a double; its root is rounded to a float once, as the factor is.
      EXPECT_NEAR(measured.result.norm, norm, kEpsilon * norm);
      EXPECT_NEAR(measured.result.factor, std::min(1.0, max_norm / (norm + 1e-6)), kEpsilon);
      EXPECT_EQ(measured.arrived, 0u);
    }
  }
}

TEST(GradientNorm, OfSquaresBeyondAFloatIsRight) {
  const Measured measured = measure({3e30f, 4e30f}, 1.0f);
  EXPECT_FLOAT_EQ(measured.result.norm, 5e30f);
  EXPECT_FLOAT_EQ(measured.result.factor, 2e-31f);
}

TEST(GradientNorm, PassesANanOn) {
  const Measured measured = measure({1.0f, NAN}, 1.0f);
  EXPECT_TRUE(std::isnan(measured.result.norm));
  EXPECT_TRUE(std::isnan(measured.result.factor));
}

TEST(GradientNorm, OfNothingIsNoneAndClipsNothing) {
  const Measured measured = measure({}, 1.0f);
  EXPECT_EQ(measured.result.norm, 0.0f);
  EXPECT_EQ(measured.result.factor, 1.0f);
}

}  // namespace
}  // namespace convoy::kernels
