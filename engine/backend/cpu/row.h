// 16 floats that lie side by side (channel_rows.h).
#pragma once

#include <array>
#include <cstdint>

namespace convoy::cpu {

constexpr std::int64_t kRow = 16;

/// One number for each float of a row.
using Row = std::array<float, kRow>;
using DoubleRow = std::array<double, kRow>;

}  // namespace convoy::cpu
