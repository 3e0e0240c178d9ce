// The gradient of a convolution's weight in strict fp32, for what cuDNN has only naive engines for: one
// group, any window, any number of channels.
#pragma once

#include <driver_types.h>

#include "kernels/conv_weight_tiling.h"

namespace convoy::kernels {

/// Device memory, fp32 and 16-byte aligned.
struct ConvWeightGradient {
  const float* x = nullptr;   // [images, in.height, in.width, in_channels]
  const float* dy = nullptr;  // [images, out.height, out.width, out_channels]
  float* dweight = nullptr;   // [out_channels, kernel.height, kernel.width, in_channels]
  void* workspace = nullptr;  // conv_weight_workspace_bytes; keeps nothing between launches
};

/// Enqueues dweight = the sum over all images and pixels of dy times what x has under the window. It makes
/// one launch, and a second one where slices share the pixels. Every sum is made in an order that `shape`
/// alone decides: the same input gives the same bits on every device. `tiling` is tile_conv_weight(shape).
/// Throws CudaError.
void conv_weight_gradient(const ConvShape& shape, const ConvWeightTiling& tiling,
                          const ConvWeightGradient& tensors, cudaStream_t stream);

}  // namespace convoy::kernels
