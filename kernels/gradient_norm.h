// The norm of all gradients of an arena, and the factor that clips them.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "kernels/clip_math.h"

namespace convoy::kernels {

/// Blocks of a launch at most, and so partial sums.
constexpr unsigned kNormBlocks = 512;

/// What a launch reads and writes, on the device.
struct GradientNorm {
  const float* gradients = nullptr;  // [count], 16-byte aligned
  std::int64_t count = 0;
  float max_norm = 0.0f;
  double* partials = nullptr;   // [kNormBlocks]
  unsigned* arrived = nullptr;  // 0 before the first launch; each leaves it at 0
  ClippedNorm* result = nullptr;
};

/// Enqueues result = the L2 norm and clip_grad_norm_'s coefficient for it. The sum is in double and in a
/// fixed order. Throws CudaError.
void measure_gradient_norm(const GradientNorm& norm, cudaStream_t stream);

}  // namespace convoy::kernels
