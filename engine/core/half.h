// Half precision, IEEE 754's binary16, as files have it.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace convoy {

/// The value of these bits; a NaN keeps its payload.
inline double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  double magnitude = 0.0;
  if (exponent == 0) {
    magnitude = std::ldexp(fraction, -24);
  } else if (exponent == 0x1f) {  // infinity, or a NaN, which keeps its payload
    magnitude =
        std::bit_cast<double>(std::uint64_t{0x7ff} << 52 | static_cast<std::uint64_t>(fraction) << 42);
  } else {
    magnitude = std::ldexp(fraction + 1024, exponent - 25);
  }
  return std::copysign(magnitude, (bits & 0x8000) != 0 ? -1.0 : 1.0);
}

}  // namespace convoy
