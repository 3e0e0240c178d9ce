// The planes that max pooling walks, of tensors in whatever layout they have.
#pragma once

#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/max_pool_loops.h"

namespace convoy::cpu {

/// Of x and y [N, C, H, W]; `window`, which the result refers to, takes x to y, and x lies in `rows`.
inline PoolPlane pool_plane(const Window& window, const ChannelRows& rows, const Shape& x, const Shape& y) {
  return {.window = window,
          .lanes = rows.lanes,
          .pixel = rows.pixel(),
          .height = x[2],
          .width = x[3],
          .output_height = y[2],
          .output_width = y[3]};
}

}  // namespace convoy::cpu
