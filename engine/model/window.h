// The window that a convolution or a pool slides over a plane.
#pragma once

#include "convoy/layers.h"

namespace convoy {

/// Height, then width, as in `Extent`.
struct Window {
  Extent kernel_size = {1, 1};
  Extent stride = {1, 1};
  Extent padding = {0, 0};
  Extent dilation = {1, 1};

  /// From the first tap to the last, both included.
  std::int64_t reach(std::size_t axis) const { return dilation[axis] * (kernel_size[axis] - 1) + 1; }

  /// How many outputs an axis of `size` elements has: (size + 2 padding - reach) / stride + 1, rounded down;
  /// 0 if the window does not fit, or is none. Settings up to 2^31 do not overflow.
  std::int64_t outputs(std::size_t axis, std::int64_t size) const {
    if (kernel_size[axis] < 1 || stride[axis] < 1 || padding[axis] < 0 || dilation[axis] < 1) return 0;
    const std::int64_t room = size + 2 * padding[axis] - reach(axis);
    return room < 0 ? 0 : room / stride[axis] + 1;
  }
};

inline Window window_of(const Conv2d& layer) {
  return {layer.kernel_size, layer.stride, layer.padding, layer.dilation};
}

/// Of a MaxPool2d or an AvgPool2d, with the stride that 0 stands for.
template <typename Pool>
Window window_of(const Pool& layer) {
  Window window{layer.kernel_size, layer.stride, layer.padding};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (window.stride[axis] == 0) window.stride[axis] = window.kernel_size[axis];
  }
  return window;
}

}  // namespace convoy
