#include "engine/backend/cpu/max_pool_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/max_pool_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Calls `body(row, column, where its output lies)` for each window; a window may begin before the plane.
template <class Body>
HWY_INLINE void for_each_window(const PoolPlane& p, Body body) {
  for (std::int64_t i = 0; i < p.output_height; ++i) {
    for (std::int64_t j = 0; j < p.output_width; ++j) {
      body(i * p.window.stride[0] - p.window.padding[0], j * p.window.stride[1] - p.window.padding[1],
           (i * p.output_width + j) * p.lanes);
    }
  }
}

/// Calls `body(where the tap lies, its number)` for the taps of a window that lie within the plane.
template <class Body>
HWY_INLINE void for_each_tap(const PoolPlane& p, std::int64_t row, std::int64_t column, Body body) {
  const std::int64_t last_i = std::min(p.window.kernel_size[0], p.height - row);
  const std::int64_t last_j = std::min(p.window.kernel_size[1], p.width - column);
  for (std::int64_t i = std::max<std::int64_t>(0, -row); i < last_i; ++i) {
    for (std::int64_t j = std::max<std::int64_t>(0, -column); j < last_j; ++j) {
      body(((row + i) * p.width + column + j) * p.lanes,
           static_cast<std::int32_t>(i * p.window.kernel_size[1] + j));
    }
  }
}

/// The number of a window's first tap within the plane.
HWY_INLINE std::int32_t first_tap(const PoolPlane& p, std::int64_t row, std::int64_t column) {
  const std::int64_t i = std::max<std::int64_t>(0, -row), j = std::max<std::int64_t>(0, -column);
  return static_cast<std::int32_t>(i * p.window.kernel_size[1] + j);
}

/// The channels that lie side by side, in as many vectors as that takes.
template <class D>
HWY_INLINE void forward(D d, const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  const hn::RebindToSigned<D> di;
  for_each_window(p, [&](std::int64_t row, std::int64_t column, std::int64_t output) HWY_ATTR {
    const std::int32_t first = first_tap(p, row, column);
    for (std::int64_t lane = 0; lane < p.lanes; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
      // What the first tap is not above is as small itself, so it is the maximum all the same.
      auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
      auto where = hn::Set(di, first);
      for_each_tap(p, row, column, [&](std::int64_t at, std::int32_t number) HWY_ATTR {
        const auto value = hn::LoadU(d, x + at + lane);
        // Not greater, or nothing takes the place of a NaN.
        const auto keep = hn::Or(hn::Le(value, best), hn::IsNaN(best));
        best = hn::IfThenElse(keep, best, value);
        where = hn::IfThenElse(hn::RebindMask(di, keep), where, hn::Set(di, number));
      });
      hn::StoreU(best, d, y + output + lane);
      hn::StoreU(where, di, tap + output + lane);
    }
  });
}

template <class D>
HWY_INLINE void backward(D d, const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx) {
  const hn::RebindToSigned<D> di;
  std::fill_n(dx, p.height * p.width * p.lanes, 0.0f);
  for_each_window(p, [&](std::int64_t row, std::int64_t column, std::int64_t output) HWY_ATTR {
    for (std::int64_t lane = 0; lane < p.lanes; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
      const auto gradient = hn::LoadU(d, dy + output + lane);
      const auto where = hn::LoadU(di, tap + output + lane);
      for_each_tap(p, row, column, [&](std::int64_t at, std::int32_t number) HWY_ATTR {
        const auto here = hn::RebindMask(d, hn::Eq(where, hn::Set(di, number)));
        float* const to = dx + at + lane;
        hn::StoreU(hn::Add(hn::LoadU(d, to), hn::IfThenElseZero(here, gradient)), d, to);
      });
    }
  });
}

void max_pool(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  if (p.lanes == 16) return forward(hn::CappedTag<float, 16>(), p, x, y, tap);
  if (p.lanes == 8) return forward(hn::CappedTag<float, 8>(), p, x, y, tap);
  forward(hn::CappedTag<float, 1>(), p, x, y, tap);
}

void max_pool_backward(const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx) {
  if (p.lanes == 16) return backward(hn::CappedTag<float, 16>(), p, dy, tap, dx);
  if (p.lanes == 8) return backward(hn::CappedTag<float, 8>(), p, dy, tap, dx);
  backward(hn::CappedTag<float, 1>(), p, dy, tap, dx);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(max_pool);
HWY_EXPORT(max_pool_backward);

void max_pool(const PoolPlane& plane, const float* x, float* y, std::int32_t* tap) {
  HWY_DYNAMIC_DISPATCH(max_pool)(plane, x, y, tap);
}

void max_pool_backward(const PoolPlane& plane, const float* dy, const std::int32_t* tap, float* dx) {
  HWY_DYNAMIC_DISPATCH(max_pool_backward)(plane, dy, tap, dx);
}

}  // namespace convoy::cpu
#endif
