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
  const std::int64_t last_i = std::min(p.window.kernel_size[0], p.height - row);
  const std::int64_t last_j = std::min(p.window.kernel_size[1], p.width - column);
  for (std::int64_t i = std::max<std::int64_t>(0, -row); i < last_i; ++i) {
    for (std::int64_t j = std::max<std::int64_t>(0, -column); j < last_j; ++j) {
      body(((row + i) * p.width + column + j) * p.lanes,
           static_cast<std::int32_t>(i * p.window.kernel_size[1] + j));
    }
  }
}

template <int kLanes, int kBytes>
[[gnu::always_inline]] inline void forward(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  using Floats = Wide<float, kLanes, kBytes>;
  using Numbers = Wide<std::int32_t, kLanes, kBytes>;
  for_each_window(
      p, [&](std::int64_t row, std::int64_t column, std::int64_t output) __attribute__((always_inline)) {
        Floats best = {};
        Numbers where = {};
        bool first = true;
        for_each_tap(
            p, row, column, [&](std::int64_t at, std::int32_t number) __attribute__((always_inline)) {
              const Floats value = Floats::load(x + at);
              // Not greater, or nothing takes the place of a NaN. The first tap is taken as it is.
              const auto keep = first ? Numbers::all(0) : (value <= best) | (best != best);
              best = Floats::choose(keep, best, value);
              where = Numbers::choose(keep, where, Numbers::all(number));
              first = false;
            });
        best.store(y + output);
        where.store(tap + output);
      });
}

template <int kLanes, int kBytes>
[[gnu::always_inline]] inline void backward(const PoolPlane& p, const float* dy, const std::int32_t* tap,
                                            float* dx) {
  using Floats = Wide<float, kLanes, kBytes>;
  using Numbers = Wide<std::int32_t, kLanes, kBytes>;
  std::fill_n(dx, p.height * p.width * kLanes, 0.0f);
  for_each_window(
      p, [&](std::int64_t row, std::int64_t column, std::int64_t output) __attribute__((always_inline)) {
        const Floats gradient = Floats::load(dy + output);
        const Numbers where = Numbers::load(tap + output);
        for_each_tap(
            p, row, column, [&](std::int64_t at, std::int32_t number) __attribute__((always_inline)) {
              const Floats here = Floats::choose(where == Numbers::all(number), gradient, {});
              (Floats::load(dx + at) + here).store(dx + at);
            });
      });
}

}  // namespace

void max_pool(const PoolPlane& p, const float* x, float* y, std::int32_t* tap, int bytes) {
  if (p.lanes == 1) return forward<1, 4>(p, x, y, tap);
  vectorized(
      bytes, [&]<int kBytes>() __attribute__((always_inline)) {
        p.lanes == 16 ? forward<16, kBytes>(p, x, y, tap) : forward<8, kBytes>(p, x, y, tap);
      });
}

void max_pool_backward(const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx, int bytes) {
  if (p.lanes == 1) return backward<1, 4>(p, dy, tap, dx);
  vectorized(
      bytes, [&]<int kBytes>() __attribute__((always_inline)) {
        p.lanes == 16 ? backward<16, kBytes>(p, dy, tap, dx) : backward<8, kBytes>(p, dy, tap, dx);
      });
}

}  // namespace convoy::cpu
