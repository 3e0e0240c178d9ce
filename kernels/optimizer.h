// The optimizers over one flat arena: a single launch updates every parameter of a model. And the mean of the
// parameters over several steps.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "engine/core/parameter_group.h"
#include "engine/core/step_scalars.h"

struct __nv_bfloat16;  // <cuda_bf16.h>

namespace convoy::kernels {

/// So many elements have one group: parameters begin at multiples of it.
constexpr std::int64_t kGroupElements = 8;

/// What one update reads and writes: `count` elements each, on the device, 16-byte aligned (8 for the
/// copies).
struct AdamArenas {
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* first_moments = nullptr;
  float* second_moments = nullptr;
  __nv_bfloat16* copies = nullptr;  // of the new parameters, rounded; null: not wanted
  std::int64_t count = 0;
  const ParameterGroup* groups = nullptr;  // one for each kGroupElements; null: all are decayed
  const float* gradient_factor = nullptr;  // by which gradients are multiplied; null: 1
};

/// Enqueues one update of Adam or AdamW; an empty arena enqueues nothing. What changes from step to step is
/// read from `scalars`, on the device, so that a captured graph can be replayed unchanged. Throws CudaError.
void adam_step(const AdamArenas& arenas, const AdamOptions& options, const StepScalars* scalars,
               cudaStream_t stream);

struct SgdArenas {
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* momentum = nullptr;        // zero before the first update; null if options.momentum is 0
  __nv_bfloat16* copies = nullptr;  // as above
  std::int64_t count = 0;
  const ParameterGroup* groups = nullptr;  // likewise
  const float* gradient_factor = nullptr;
};

/// Enqueues one update of stochastic gradient descent, likewise. Throws CudaError.
void sgd_step(const SgdArenas& arenas, const SgdOptions& options, const StepScalars* scalars,
              cudaStream_t stream);

/// Parameters and their means, `count` elements each, on the device, aligned as above.
struct AverageArenas {
  float* means = nullptr;
  float* parameters = nullptr;
  __nv_bfloat16* copies = nullptr;  // as above
  std::int64_t count = 0;
};

/// Enqueues means += (parameters - means) / samples, which makes them the means of `samples` values if they
/// were those of one less; an empty arena enqueues nothing. Throws CudaError.
void average_add(const AverageArenas& arenas, std::int64_t samples, cudaStream_t stream);

/// Enqueues parameters = means, and the copies. Throws CudaError.
void average_store(const AverageArenas& arenas, cudaStream_t stream);

}  // namespace convoy::kernels
