// Shapes and windows as kernels/ takes them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "convoy/shape.h"
#include "engine/model/layer_rules.h"
#include "engine/model/window.h"
#include "kernels/image_window.h"
#include "kernels/pooling.h"

namespace convoy::cuda {

/// What is too large for 32 bits becomes what the kernels' `..._fits` refuse.
inline std::int32_t narrowed(std::int64_t extent) {
  return static_cast<std::int32_t>(std::min<std::int64_t>(extent, std::numeric_limits<std::int32_t>::max()));
}

inline kernels::Extents narrowed(const Extent& extent) { return {narrowed(extent[0]), narrowed(extent[1])}; }

/// Height and width of images [N, C, H, W].
inline kernels::Extents plane_of(const Shape& images) { return {narrowed(images[2]), narrowed(images[3])}; }

inline kernels::ImageWindow image_window(const Window& window) {
  return {narrowed(window.kernel_size), narrowed(window.stride), narrowed(window.padding),
          narrowed(window.dilation)};
}

/// Of images x stored as `type`. Throws UsageError for a pool that does not fit them.
template <typename Pool>
kernels::PoolShape pool_shape(const Pool& layer, const Shape& x, DType type) {
  const Shape y = output_shape(layer, x);  // first: it refuses what does not fit
  return {.images = x[0],
          .in = plane_of(x),
          .out = plane_of(y),
          .channels = narrowed(x[1]),
          .window = image_window(window_of(layer)),
          .dtype = type};
}

}  // namespace convoy::cuda
