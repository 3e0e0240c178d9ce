// Rotations and scalings to draw from, in integers. Made on the host alone.
#pragma once

#include <cmath>
#include <numbers>

#include "kernels/augmentation_math.h"

namespace convoy {

/// Draw i of n has the angle max_rotation (2 i / (n - 1) - 1) and the scale 1 + max_scaling (2 i / (n - 1) -
/// 1).
inline AffineTable affine_table(const AugmentationOptions& options) {
  constexpr double kOne = 1 << 16;
  const auto rounded = [](double value) { return static_cast<std::int32_t>(std::lround(value)); };
  AffineTable table;
  for (std::uint32_t i = 0; i < kAffineDraws; ++i) {
    const double part = 2.0 * i / (kAffineDraws - 1) - 1.0;
    const double angle = options.max_rotation * part * std::numbers::pi / 180.0;
    table.rotations[i] = {rounded(kOne * std::cos(angle)), rounded(kOne * std::sin(angle))};
    table.inverse_scales[i] = rounded(kOne / (1.0 + options.max_scaling * part));
  }
  return table;
}

inline bool needs_affine(const AugmentationOptions& options) {
  return options.max_rotation > 0.0 || options.max_scaling > 0.0;
}

}  // namespace convoy
