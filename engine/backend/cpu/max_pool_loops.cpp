#include "engine/backend/cpu/max_pool_loops.h"

#include <algorithm>

#include "engine/backend/cpu/vectorized.h"

namespace convoy::cpu {
namespace {

/// Calls `body(row, column, where its output lies)` for each window; a window may begin before the plane.
template <typename Body>
[[gnu::always_inline]] inline void for_each_window(const PoolPlane& p, Body body) {
  for (std::int64_t i = 0; i < p.output_height; ++i) {
    for (std::int64_t j = 0; j < p.output_width; ++j) {
      body(i * p.window.stride[0] - p.window.padding[0], j * p.window.stride[1] - p.window.padding[1],
           (i * p.output_width + j) * p.lanes);
    }
  }
}

/// Calls `body(where the tap lies, its number)` for the taps of a window that lie within the plane.
template <typename Body>
[[gnu::always_inline]] inline void for_each_tap(const PoolPlane& p, std::int64_t row, std::int64_t column,
                                                Body body) {
  const std::int64_t last_i = std::min(p.window.kernel[0], p.height - row);
  const std::int64_t last_j = std::min(p.window.kernel[1], p.width - column);
  for (std::int64_t i = std::max<std::int64_t>(0, -row); i < last_i; ++i) {
    for (std::int64_t j = std::max<std::int64_t>(0, -column); j < last_j; ++j) {
      body(((row + i) * p.width + column + j) * p.lanes,
           static_cast<std::int32_t>(i * p.window.kernel[1] + j));
    }
  }
}

template <int kLanes>
[[gnu::always_inline]] inline void forward(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  for_each_window(p, [&](std::int64_t row, std::int64_t column, std::int64_t output) [[gnu::always_inline]] {
    float best[kLanes] = {};
    std::int32_t where[kLanes] = {};
    bool first = true;
    for_each_tap(p, row, column, [&](std::int64_t at, std::int32_t number) [[gnu::always_inline]] {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float value = x[at + lane];
        // Greater or a NaN, and nothing takes the place of a NaN. The first tap is taken as it is.
        const bool better = first | (!(value <= best[lane]) & (best[lane] == best[lane]));
        best[lane] = better ? value : best[lane];
        where[lane] = better ? number : where[lane];
      }
      first = false;
    });
    std::copy_n(best, kLanes, y + output);
    std::copy_n(where, kLanes, tap + output);
  });
}

template <int kLanes>
[[gnu::always_inline]] inline void backward(const PoolPlane& p, const float* dy, const std::int32_t* tap,
                                            float* dx) {
  std::fill_n(dx, p.height * p.width * kLanes, 0.0f);
  for_each_window(p, [&](std::int64_t row, std::int64_t column, std::int64_t output) [[gnu::always_inline]] {
    for_each_tap(p, row, column, [&](std::int64_t at, std::int32_t number) [[gnu::always_inline]] {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float gradient = dy[output + lane];  // loaded in any case, so that the choice is no branch
        dx[at + lane] += tap[output + lane] == number ? gradient : 0.0f;
      }
    });
  });
}

// A clone needs a function of its own; the compiler vectorises the loops over the lanes in each.
CONVOY_VECTORIZED void forward16(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  forward<16>(p, x, y, tap);
}

CONVOY_VECTORIZED void backward16(const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx) {
  backward<16>(p, dy, tap, dx);
}

CONVOY_VECTORIZED void forward8(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  forward<8>(p, x, y, tap);
}

CONVOY_VECTORIZED void backward8(const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx) {
  backward<8>(p, dy, tap, dx);
}

}  // namespace

void max_pool(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  if (p.lanes == 16) return forward16(p, x, y, tap);
  if (p.lanes == 8) return forward8(p, x, y, tap);
  forward<1>(p, x, y, tap);
}

void max_pool_backward(const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx) {
  if (p.lanes == 16) return backward16(p, dy, tap, dx);
  if (p.lanes == 8) return backward8(p, dy, tap, dx);
  backward<1>(p, dy, tap, dx);
}

}  // namespace convoy::cpu
