// Numbers as activations lie in memory with --precision bf16: the upper half of a float.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace convoy::cpu {

struct Bfloat16 {
  std::uint16_t bits;
};

constexpr float widened(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// To the nearest, of two to the even one. A NaN stays one.
inline Bfloat16 rounded(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t nearest = std::isnan(value) ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
  return {static_cast<std::uint16_t>(nearest >> 16)};
}

}  // namespace convoy::cpu
