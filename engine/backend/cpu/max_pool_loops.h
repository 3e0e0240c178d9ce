// Max pooling of one plane: one image, `lanes` channels side by side.
#pragma once

#include <cstdint>

#include "engine/model/window.h"

namespace convoy::cpu {

struct PoolPlane {
  const Window& window;
  std::int64_t lanes;                        // 1, 8 or 16
  std::int64_t pixel;                        // from one pixel to the next: `lanes`, or all channels
  std::int64_t height, width;                // of the input
  std::int64_t output_height, output_width;  // of the output
};

/// y = the maximum of each window, tap = its number in the window, the first of equal ones. A NaN is a
/// maximum. `x` is [height, width, pixel], `y` and `tap` [output_height, output_width, pixel], of which
/// the first `lanes` count.
void max_pool(const PoolPlane& plane, const float* x, float* y, std::int32_t* tap);

/// dx = dy where the maximum was, 0 elsewhere.
void max_pool_backward(const PoolPlane& plane, const float* dy, const std::int32_t* tap, float* dx);

}  // namespace convoy::cpu
