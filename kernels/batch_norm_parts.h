// What the kernels of batch_norm.h and batch_norm_pool.h share. For .cu files only.
#pragma once

#include <cuda_runtime.h>

namespace convoy::kernels {

/// The two sums of the backward pass: of dy, and of dy times the normalised x.
struct GradientSums {
  float dy;
  float dy_xhat;
};

struct AddSums {
  __device__ GradientSums operator()(const GradientSums& a, const GradientSums& b) const {
    return {a.dy + b.dy, a.dy_xhat + b.dy_xhat};
  }
};

__device__ inline float keep_positive(float value) { return value < 0.0f ? 0.0f : value; }  // NaN stays NaN

}  // namespace convoy::kernels
