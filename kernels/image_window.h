// The window that a convolution or a pool slides over images, as kernels are given it.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"

namespace convoy::kernels {

/// Height and width.
struct Extents {
  std::int32_t height = 1;
  std::int32_t width = 1;

  HOST_DEVICE std::int64_t count() const { return std::int64_t{height} * width; }
};

/// Bounds all extents of a window and of the images that it slides over: coordinates are 32 bits wide.
constexpr std::int32_t kMaxExtent = 1 << 28;

/// PyTorch's settings.
struct ImageWindow {
  Extents kernel;
  Extents stride;
  Extents padding = {0, 0};  // at each side
  Extents dilation;
};

}  // namespace convoy::kernels
