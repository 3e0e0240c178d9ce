// Group norm over NHWC images: statistics of each image and group.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "kernels/column_tiling.h"

namespace convoy::kernels {

/// x and y are [images, pixels, channels]: NHWC memory, 16-byte aligned. An image has less than 2^31
/// elements, and `groups` divides `channels`.
struct GroupNormShape {
  std::int64_t images = 0;
  std::int64_t pixels = 0;
  std::int32_t channels = 0;
  std::int32_t groups = 1;
  DType dtype = DType::float32;

  std::int64_t rows() const { return images * pixels; }
  std::int64_t count() const { return rows() * channels; }
};

/// Device memory; the statistics are fp32 [images, groups].
struct GroupNormForward {
  const void* x = nullptr;        // of shape.dtype
  void* y = nullptr;              // of shape.dtype
  const float* weight = nullptr;  // [channels]; null: 1
  const float* bias = nullptr;    // [channels]; null: 0
  float* saved_mean = nullptr;
  float* saved_inverse_std = nullptr;  // 1 / sqrt(biased variance + epsilon)
  float epsilon = 1e-5f;
};

/// Enqueues two launches: statistics, then y. Variances are summed around the mean, so that a mean far from
/// zero costs no digits. Throws CudaError. Every sum is made in a fixed order.
void group_norm_forward(const GroupNormShape& shape, const GroupNormForward& tensors, cudaStream_t stream);

struct GroupNormBackward {
  const void* x = nullptr;        // what forward saw
  const void* dy = nullptr;       // both of shape.dtype
  void* dx = nullptr;             // may be dy; null: nobody needs it
  const float* weight = nullptr;  // [channels]; null: 1
  const float* saved_mean = nullptr;
  const float* saved_inverse_std = nullptr;
  float* mean_g = nullptr;       // [images, groups], scratch: of g = weight dy; only for dx
  float* mean_g_xhat = nullptr;  // the same of g xhat
  float* dweight = nullptr;      // [channels]; null: nobody needs it
  float* dbias = nullptr;        // the same
  ColumnScratch scratch;         // for (rows(), channels); only for dweight and dbias
};

/// Enqueues at most three launches: dweight and dbias, the means over each group, dx. Throws CudaError. Every
/// sum is made in a fixed order.
void group_norm_backward(const GroupNormShape& shape, const GroupNormBackward& tensors, cudaStream_t stream);

}  // namespace convoy::kernels
