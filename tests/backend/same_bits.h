// Floats whose bits are expected, where two zeros are not one.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace convoy {

/// The same bits, but for which NaN it is.
inline testing::AssertionResult same_bits(float actual, float expected) {
  const bool same = std::bit_cast<std::uint32_t>(actual) == std::bit_cast<std::uint32_t>(expected);
  if (same || (std::isnan(actual) && std::isnan(expected))) return testing::AssertionSuccess();
  return testing::AssertionFailure() << actual << ", not " << expected;
}

}  // namespace convoy
