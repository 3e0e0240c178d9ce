// The optimizers over one flat arena: a single launch updates every parameter of a model.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "kernels/adam_math.h"
#include "kernels/sgd_math.h"

struct __nv_bfloat16;  // <cuda_bf16.h>

namespace convoy::kernels {

/// What one update reads and writes: `count` elements each, on the device, 16-byte aligned (8 for the
/// copies).
struct AdamArenas {
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* first_moments = nullptr;
  float* second_moments = nullptr;
  __nv_bfloat16* copies = nullptr;  // of the new parameters, rounded; null: not wanted
  std::int64_t count = 0;
};

/// Enqueues one update of Adam or AdamW; an empty arena enqueues nothing. `step` is the
/// device-side step counter, 1 at the first update, so that a captured graph can be replayed unchanged.
/// Throws CudaError.
void adam_step(const AdamArenas& arenas, const AdamOptions& options, const std::int64_t* step,
               cudaStream_t stream);

struct SgdArenas {
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* momentum = nullptr;        // zero before the first update; null if options.momentum is 0
  __nv_bfloat16* copies = nullptr;  // as above
  std::int64_t count = 0;
};

/// Enqueues one update of stochastic gradient descent; an empty arena enqueues nothing. Throws CudaError.
void sgd_step(const SgdArenas& arenas, const SgdOptions& options, cudaStream_t stream);

}  // namespace convoy::kernels
