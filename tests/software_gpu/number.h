// Numbers as the device stores them, and as tensor cores round them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace software_gpu {

inline float load_float(const void* data, std::size_t i) {
  float value;
  std::memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
  return value;
}

inline void store_float(void* data, std::size_t i, double value) {
  const auto rounded = static_cast<float>(value);
  std::memcpy(static_cast<char*>(data) + i * sizeof rounded, &rounded, sizeof rounded);
}

/// Keeps the `kept` highest bits of a float's 23 bits of mantissa, to the nearest, ties to even.
inline float round_mantissa(float value, int kept) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;  // infinity or NaN
  const int dropped = 23 - kept;
  const std::uint32_t half = (1u << (dropped - 1)) - 1u + ((bits >> dropped) & 1u);
  bits = (bits + half) & ~((1u << dropped) - 1u);
  return std::bit_cast<float>(bits);
}

inline float round_to_tf32(float value) { return round_mantissa(value, 10); }
inline float round_to_bfloat16(float value) { return round_mantissa(value, 7); }

inline float load_bfloat16(const void* data, std::size_t i) {
  std::uint16_t half;
  std::memcpy(&half, static_cast<const char*>(data) + i * sizeof half, sizeof half);
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

inline void store_bfloat16(void* data, std::size_t i, double value) {
  const float rounded = round_to_bfloat16(static_cast<float>(value));
  const auto half = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(rounded) >> 16);
  std::memcpy(static_cast<char*>(data) + i * sizeof half, &half, sizeof half);
}

}  // namespace software_gpu
