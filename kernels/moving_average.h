// The exponential moving average of a model's weights and running statistics, one launch for all of them.
#pragma once

#include <driver_types.h>

#include <cstdint>

struct __nv_bfloat16;  // <cuda_bf16.h>

namespace convoy::kernels {

/// One arena and its means: `count` elements each, on the device, 16-byte aligned (8 for the copies).
struct AveragedArena {
  float* means = nullptr;
  float* values = nullptr;
  __nv_bfloat16* copies = nullptr;  // of the values, rounded; null: none
  std::int64_t count = 0;
};

/// What is averaged: the parameters and the statistics beside them, of which there may be none.
struct MovingAverageArenas {
  AveragedArena parameters;
  AveragedArena statistics;
  float weight = 0.0f;                 // 1 - decay
  const std::int64_t* step = nullptr;  // the device-side step counter
  const std::int64_t* begun =
      nullptr;  // the step behind which the average begins: the next is the mean itself
};

/// Enqueues means += weight (values - means); in step begun + 1 means = values. Throws CudaError.
void moving_average_update(const MovingAverageArenas& arenas, cudaStream_t stream);

/// Enqueues the exchange of means and values, and the values' copies: what a launch does a second one undoes.
/// Throws CudaError.
void moving_average_swap(const MovingAverageArenas& arenas, cudaStream_t stream);

}  // namespace convoy::kernels
