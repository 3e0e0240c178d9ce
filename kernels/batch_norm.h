// Batch norm over the rows of an NHWC tensor, for what cuDNN has no engine for: any number of channels, any
// GPU.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "kernels/column_tiling.h"

namespace convoy::kernels {

/// x and y are [rows, channels] with rows = N H W: NHWC memory, 16-byte aligned.
struct BatchNormShape {
  std::int64_t rows = 0;
  std::int32_t channels = 0;
  DType dtype = DType::float32;
};

/// Device memory; fp32 [channels] unless said otherwise.
struct BatchNormTraining {
  const void* x = nullptr;  // of shape.dtype
  void* y = nullptr;        // of shape.dtype
  const float* weight = nullptr;
  const float* bias = nullptr;
  float* running_mean = nullptr;  // new = (1 - momentum) old + momentum batch
  float* running_var = nullptr;   // the same, of the unbiased variance
  float* saved_mean = nullptr;
  float* saved_inverse_std = nullptr;  // 1 / sqrt(biased variance + epsilon)
  ColumnScratch scratch;               // for (rows, channels)
  float epsilon = 1e-5f;
  float momentum = 0.1f;
  bool relu = false;  // y = max(0, ...)
};

/// Enqueues two launches: statistics, then y. Variances are accumulated by Welford's method, so that a mean
/// far from zero costs no digits. One row alone has the unbiased variance 0 here: callers refuse it.
/// Throws CudaError. Every sum is made in a fixed order.
void batch_norm_training(const BatchNormShape& shape, const BatchNormTraining& tensors, cudaStream_t stream);

/// Enqueues the first of these two launches alone, which needs no y, weight and bias. Throws CudaError.
void batch_norm_statistics(const BatchNormShape& shape, const BatchNormTraining& tensors,
                           cudaStream_t stream);

struct BatchNormBackward {
  const void* x = nullptr;   // what training saw
  const void* y = nullptr;   // what it made: the mask of a fused ReLU; null without one
  const void* dy = nullptr;  // all of shape.dtype
  void* dx = nullptr;        // may be dy; null: nobody needs it
  const float* weight = nullptr;
  const float* saved_mean = nullptr;
  const float* saved_inverse_std = nullptr;
  float* dweight = nullptr;
  float* dbias = nullptr;
  ColumnScratch scratch;  // for (rows, channels)
};

/// Enqueues two launches: dweight and dbias, then dx. Throws CudaError.
void batch_norm_backward(const BatchNormShape& shape, const BatchNormBackward& tensors, cudaStream_t stream);

struct BatchNormEvaluation {
  const void* x = nullptr;
  void* y = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  const float* running_mean = nullptr;
  const float* running_var = nullptr;
  float epsilon = 1e-5f;
  bool relu = false;
};

/// Enqueues y from the running statistics. Throws CudaError.
void batch_norm_evaluation(const BatchNormShape& shape, const BatchNormEvaluation& tensors,
                           cudaStream_t stream);

}  // namespace convoy::kernels
