// The passes of batch norm with the ReLU and the max pool behind it over one plane: one image, some channels
// side by side. The windows do not overlap and lie within the plane. Numbers lie in memory as floats or as
// bf16.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/bfloat16.h"
#include "engine/backend/cpu/max_pool_loops.h"
#include "engine/backend/cpu/row.h"

namespace convoy::cpu {

/// In place of a tap's number where the ReLU lets nothing of a window pass.
constexpr std::uint8_t kNothingPasses = 255;

/// y = the maximum of each window of what batch norm and the ReLU make of x, `(x - mean) scale + shift` where
/// that is above zero. `tap` is its number in the window, which must be below kNothingPasses, the first of
/// equal ones; a NaN is a maximum. `winner` is x there, or 0 with kNothingPasses. Both are null if nobody
/// asks.
template <typename T>
struct NormalizedPool {
  const PoolPlane& plane;
  const T* x;
  T* y;
  T* winner;
  std::uint8_t* tap;
  const Row& mean;
  const Row& scale;
  const Row& shift;
};
void normalize_and_pool(const NormalizedPool<float>& pool);
void normalize_and_pool(const NormalizedPool<Bfloat16>& pool);

/// sum += g, products += g (winner - mean), where g is dy where a tap has it. Over `size` numbers as batch
/// norm's passes have them (batch_norm_loops.h).
template <typename T>
struct PooledGradientSums {
  const T* winner;
  const std::uint8_t* tap;
  const T* dy;
  std::int64_t size;
  std::int64_t row = kRow;
  const Row& mean;
  DoubleRow& sum;
  DoubleRow& products;
};
void add_pooled_gradients(const PooledGradientSums<float>& plane);
void add_pooled_gradients(const PooledGradientSums<Bfloat16>& plane);

/// dx = scale g + slope (x - mean) + constant, where g is dy at the tap that has it and 0 elsewhere.
template <typename T>
struct PooledInputGradient {
  const PoolPlane& plane;
  const T* x;
  const T* dy;
  const std::uint8_t* tap;
  T* dx;
  const Row& mean;
  const Row& scale;
  const Row& slope;
  const Row& constant;
};
void differentiate_pooled(const PooledInputGradient<float>& pool);
void differentiate_pooled(const PooledInputGradient<Bfloat16>& pool);

}  // namespace convoy::cpu
