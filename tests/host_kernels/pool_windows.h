// The windows of a pool over NHWC memory, one by one.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/pooling.h"

namespace convoy::kernels {

inline std::size_t at(const Extents& plane, std::int32_t channels, std::int64_t n, std::int64_t h,
                      std::int64_t w, std::int64_t c) {
  return static_cast<std::size_t>(((n * plane.height + h) * plane.width + w) * channels + c);
}

/// Calls visit(y element, {x elements of its window in row-major order}).
template <typename Visit>
void for_each_output(const PoolShape& s, Visit visit) {
  const ImageWindow& w = s.window;
  for (std::int64_t n = 0; n < s.images; ++n) {
    for (std::int64_t oh = 0; oh < s.out.height; ++oh) {
      for (std::int64_t ow = 0; ow < s.out.width; ++ow) {
        for (std::int64_t c = 0; c < s.channels; ++c) {
          std::vector<std::size_t> seen;
          for (std::int64_t tap = 0; tap < w.kernel.count(); ++tap) {
            const std::int64_t h = oh * w.stride.height - w.padding.height + tap / w.kernel.width;
            const std::int64_t v = ow * w.stride.width - w.padding.width + tap % w.kernel.width;
            if (h < 0 || h >= s.in.height || v < 0 || v >= s.in.width) continue;
            seen.push_back(at(s.in, s.channels, n, h, v, c));
          }
          visit(at(s.out, s.channels, n, oh, ow, c), seen);
        }
      }
    }
  }
}

}  // namespace convoy::kernels
