// The passes of batch norm with the ReLU and the max pool behind it over one plane: one image, some channels
// side by side. The windows do not overlap and lie within the plane.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/max_pool_loops.h"
#include "engine/backend/cpu/row.h"

namespace convoy::cpu {

/// In place of a tap's number where the ReLU lets nothing of a window pass.
constexpr std::uint8_t kNoTap = 255;

/// y = the maximum of each window of what batch norm and the ReLU make of x, `(x - mean) scale + shift` where
/// that is above zero. `tap` is its number in the window, which must be below kNoTap, the first of equal
/// ones; a NaN is a maximum. `deviation` is x - mean there, or 0 with kNoTap. Both are null if nobody asks.
struct NormalizedPool {
  const PoolPlane& plane;
  const float* x;
  float* y;
  float* deviation;
  std::uint8_t* tap;
  const Row& mean;
  const Row& scale;
  const Row& shift;
};
void normalize_and_pool(const NormalizedPool& pool);

/// sum += g, products += g deviation, where g is dy where a tap has it. Over `size` floats whose channels
/// repeat every 16.
struct PooledGradientSums {
  const float* deviation;
  const std::uint8_t* tap;
  const float* dy;
  std::int64_t size;
  DoubleRow& sum;
  DoubleRow& products;
};
void add_pooled_gradients(const PooledGradientSums& plane);

/// dx = scale g + slope (x - mean) + constant, where g is dy at the tap that has it and 0 elsewhere.
struct PooledInputGradient {
  const PoolPlane& plane;
  const float* x;
  const float* dy;
  const std::uint8_t* tap;
  float* dx;
  const Row& mean;
  const Row& scale;
  const Row& slope;
  const Row& constant;
};
void differentiate_pooled(const PooledInputGradient& pool);

}  // namespace convoy::cpu
