// Batch norm, ReLU and max pool as one: what lies between them, of x's size, is neither written nor read. For
// pools whose windows do not overlap and have no padding.
//
// Forward keeps, for each element of y, the place of its window's maximum (a byte) and x there. Backward
// could gather x by the place instead, but neighbouring channels have their maxima at different places: of
// 2x2 windows nearly every 32-byte sector of x would be read again, 14 to 16 bytes an element of y in fp32,
// where writing and reading what was kept takes 8.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "kernels/batch_norm.h"
#include "kernels/pooling.h"

namespace convoy::kernels {

/// Of a window: a byte tells the maximum's place, and one value says that the ReLU lets nothing of it pass.
constexpr std::int64_t kMaxBatchNormPoolTaps = 255;

/// Whether the kernels do such a pool: pool_fits, strides no smaller than the window, no padding, and no more
/// taps than that.
bool batch_norm_pool_fits(const PoolShape& shape);

/// Device memory. Vectors [channels] are 16-byte aligned, too.
struct BatchNormPoolTraining {
  BatchNormTraining norm;         // y has the pool's shape; there is a ReLU whatever `relu` says
  void* winners = nullptr;        // [y's elements], of shape.dtype: x at the place of the maximum
  std::uint8_t* index = nullptr;  // [y's elements]: that place; null, as `winners`: nobody needs it
};

/// Enqueues two launches: the statistics of batch_norm_training, then y = max(0, the largest normalised value
/// of each window). The first of equals wins, and a NaN where there is one. In bf16 values are compared
/// before they are rounded. Throws CudaError.
void batch_norm_pool_training(const PoolShape& shape, const BatchNormPoolTraining& tensors,
                              cudaStream_t stream);

struct BatchNormPoolBackward {
  const void* x = nullptr;              // of x's shape, what training saw
  const void* winners = nullptr;        // what training kept, and so the next
  const std::uint8_t* index = nullptr;  // [y's elements]
  const void* dy = nullptr;             // of y's shape
  void* dx = nullptr;                   // of x's shape; null: nobody needs it
  const float* weight = nullptr;        // all [channels]
  const float* saved_mean = nullptr;
  const float* saved_inverse_std = nullptr;
  float* dweight = nullptr;
  float* dbias = nullptr;
  ColumnScratch scratch;  // that of training will do: for (x's rows, channels)
};

/// Enqueues two launches: dweight and dbias, then dx. Throws CudaError.
void batch_norm_pool_backward(const PoolShape& shape, const BatchNormPoolBackward& tensors,
                              cudaStream_t stream);

/// Enqueues y from the running statistics; the same without a pool's index. `relu` is not asked. Throws
/// CudaError.
void batch_norm_pool_evaluation(const PoolShape& shape, const BatchNormEvaluation& tensors,
                                cudaStream_t stream);

}  // namespace convoy::kernels
