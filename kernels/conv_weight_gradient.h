// The gradient of a convolution's weight, with sums in strict fp32: one group, any window, any number of
// channels. For what cuDNN has only naive engines for, and for few channels, where it is the fastest.
#pragma once

#include <driver_types.h>

#include "convoy/dtype.h"
#include "kernels/conv_weight_tiling.h"

namespace convoy::kernels {

/// Device memory, 16-byte aligned.
struct ConvWeightGradient {
  const void* x = nullptr;   // [images, in.height, in.width, in_channels] of `dtype`
  const void* dy = nullptr;  // [images, out.height, out.width, out_channels] of `dtype`
  void* dweight = nullptr;   // [out_channels, kernel.height, kernel.width, in_channels] of `dtype`
  DType dtype = DType::float32;
  void* workspace = nullptr;  // conv_weight_workspace_bytes; keeps nothing between launches
};

/// Enqueues dweight = the sum over all images and pixels of dy times what x has under the window. It makes
/// one launch, and a second one where slices share the pixels. Every sum is made in an order that `shape`
/// alone decides: the same input gives the same bits on every device. `tiling` is tile_conv_weight(shape).
/// Throws CudaError.
void conv_weight_gradient(const ConvShape& shape, const ConvWeightTiling& tiling,
                          const ConvWeightGradient& tensors, cudaStream_t stream);

}  // namespace convoy::kernels
