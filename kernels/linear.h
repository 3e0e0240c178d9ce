// Linear layers where cuBLAS has no epilogue to offer: a plain GEMM with bias, and the gradient of the bias.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "kernels/column_tiling.h"

namespace convoy::kernels {

/// Device memory, row-major. Sums are fp32.
struct LinearForward {
  const void* x = nullptr;       // [rows, in_features] of `dtype`
  const void* weight = nullptr;  // [out_features, in_features] of `dtype`
  const float* bias = nullptr;   // [out_features], or null
  void* y = nullptr;             // [rows, out_features] of `dtype`
  DType dtype = DType::float32;
  std::int64_t rows = 0;
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
};

/// Enqueues y = x W^T + bias. Throws CudaError.
void linear_forward(const LinearForward& linear, cudaStream_t stream);

struct BiasGradient {
  const void* dy = nullptr;  // [rows, channels] of `dtype`: a linear layer's, or a convolution's in NHWC
  float* dbias = nullptr;    // [channels]
  DType dtype = DType::float32;
  std::int64_t rows = 0;
  std::int32_t channels = 0;
  ColumnScratch scratch;  // for (rows, channels)
};

/// Enqueues dbias = the sums of dy's columns, in a fixed order; zero for no rows. Throws CudaError.
void bias_gradient(const BiasGradient& gradient, cudaStream_t stream);

}  // namespace convoy::kernels
