// Max and average pooling of NHWC images, for where cuDNN has no plan. PyTorch's semantics: a window is
// clipped to the image, and padding is never the maximum.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "kernels/image_window.h"

namespace convoy::kernels {

/// x is [images, in.height, in.width, channels] and y [images, out.height, out.width, channels]: NHWC memory,
/// 16-byte aligned. Every window has at least one pixel of x; its dilation is 1.
struct PoolShape {
  std::int64_t images = 0;
  Extents in;
  Extents out;
  std::int32_t channels = 0;
  ImageWindow window;
  DType dtype = DType::float32;

  HOST_DEVICE std::int64_t in_count() const { return images * in.count() * channels; }
  HOST_DEVICE std::int64_t out_count() const { return images * out.count() * channels; }
};

constexpr std::int64_t kMaxPoolTaps = 256;  // of a max pool's window, as many as a byte can tell apart

/// Whether the 32-bit coordinates reach: no extent and no number of channels above kMaxExtent.
bool pool_fits(const PoolShape& shape);

/// Device memory.
struct MaxPoolForward {
  const void* x = nullptr;        // of shape.dtype
  void* y = nullptr;              // of shape.dtype
  std::uint8_t* index = nullptr;  // [y's elements]: the maximum's place in its window, in row-major order
};

/// Enqueues y = the largest element of each window: the first of equals, and a NaN where there is one. The
/// window has at most kMaxPoolTaps. Throws CudaError.
void max_pool_forward(const PoolShape& shape, const MaxPoolForward& tensors, cudaStream_t stream);

struct MaxPoolBackward {
  const void* dy = nullptr;
  const std::uint8_t* index = nullptr;  // of the forward
  void* dx = nullptr;
};

/// Enqueues dx = the sums, in a fixed order, of dy over the windows whose maximum the pixel is. Throws
/// CudaError.
void max_pool_backward(const PoolShape& shape, const MaxPoolBackward& tensors, cudaStream_t stream);

struct AvgPool {
  const void* from = nullptr;
  void* to = nullptr;
  bool count_include_pad = true;  // false: a mean is over the pixels without padding
};

/// Enqueues y (`to`) = the mean over each window of x (`from`). Throws CudaError.
void avg_pool_forward(const PoolShape& shape, const AvgPool& tensors, cudaStream_t stream);

/// Enqueues dx (`to`) = the sums, in a fixed order, of each window's share of dy (`from`). Throws CudaError.
void avg_pool_backward(const PoolShape& shape, const AvgPool& tensors, cudaStream_t stream);

}  // namespace convoy::kernels
