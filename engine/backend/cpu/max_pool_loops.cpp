#include "engine/backend/cpu/max_pool_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/max_pool_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "engine/backend/cpu/pool-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

/// Calls `body(row, column, where its output lies)` for each window; a window may begin before the plane.
template <class Body>
HWY_INLINE void for_each_window(const PoolPlane& p, Body body) {
  for (std::int64_t i = 0; i < p.output_height; ++i) {
    for (std::int64_t j = 0; j < p.output_width; ++j) {
      body(i * p.window.stride[0] - p.window.padding[0], j * p.window.stride[1] - p.window.padding[1],
           (i * p.output_width + j) * p.pixel);
    }
  }
}

/// The number of a window's first tap within the plane.
HWY_INLINE std::int32_t first_tap(const PoolPlane& p, std::int64_t row, std::int64_t column) {
  const std::int64_t i = std::max<std::int64_t>(0, -row), j = std::max<std::int64_t>(0, -column);
  return static_cast<std::int32_t>(i * p.window.kernel_size[1] + j);
}

struct Forward {
  const float* x;
  float* y;
  std::int32_t* tap;

  template <int kLanes, int kSide>
  HWY_INLINE void run(const PoolPlane& p) const {
    const LanesOf<kLanes> d;
    const hn::RebindToSigned<LanesOf<kLanes>> di;
    for_each_window(p, [&](std::int64_t row, std::int64_t column, std::int64_t output) INLINE_LAMBDA {
      const std::int32_t first = first_tap(p, row, column);
      for (std::int64_t lane = 0; lane < kLanes; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
        // What the first tap is not above is as small itself, so it is the maximum all the same.
        auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
        auto where = hn::Set(di, first);
        for_each_tap<kSide>(p, row, column, [&](std::int64_t at, std::int32_t number) INLINE_LAMBDA {
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
};

struct Backward {
  const float* dy;
  const std::int32_t* tap;
  float* dx;

  template <int kLanes, int kSide>
  HWY_INLINE void run(const PoolPlane& p) const {
    if (tiles(p)) return run<kLanes, kSide, true>(p);
    for (std::int64_t i = 0; i < p.height * p.width; ++i) std::fill_n(dx + i * p.pixel, kLanes, 0.0f);
    run<kLanes, kSide, false>(p);
  }

  /// Writes dx, or adds to what is there.
  template <int kLanes, int kSide, bool kWrite>
  HWY_INLINE void run(const PoolPlane& p) const {
    const LanesOf<kLanes> d;
    const hn::RebindToSigned<LanesOf<kLanes>> di;
    for_each_window(p, [&](std::int64_t row, std::int64_t column, std::int64_t output) INLINE_LAMBDA {
      for (std::int64_t lane = 0; lane < kLanes; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
        const auto gradient = hn::LoadU(d, dy + output + lane);
        const auto where = hn::LoadU(di, tap + output + lane);
        for_each_tap<kSide>(p, row, column, [&](std::int64_t at, std::int32_t number) INLINE_LAMBDA {
          const auto here = hn::RebindMask(d, hn::Eq(where, hn::Set(di, number)));
          const auto share = hn::IfThenElseZero(here, gradient);
          float* const to = dx + at + lane;
          hn::StoreU(kWrite ? share : hn::Add(hn::LoadU(d, to), share), d, to);
        });
      }
    });
  }
};

template <int kLanes, class Pass>
HWY_INLINE void run_lanes(const PoolPlane& p, Pass pass) {
  if (same(p.window.kernel_size, {2, 2})) return pass.template run<kLanes, 2>(p);
  if (same(p.window.kernel_size, {3, 3})) return pass.template run<kLanes, 3>(p);
  pass.template run<kLanes, 0>(p);
}

template <class Pass>
HWY_INLINE void run(const PoolPlane& p, Pass pass) {
  if (p.lanes == 16) return run_lanes<16>(p, pass);
  if (p.lanes == 8) return run_lanes<8>(p, pass);
  run_lanes<1>(p, pass);
}

void max_pool(const PoolPlane& p, const float* x, float* y, std::int32_t* tap) {
  run(p, Forward{.x = x, .y = y, .tap = tap});
}

void max_pool_backward(const PoolPlane& p, const float* dy, const std::int32_t* tap, float* dx) {
  run(p, Backward{.dy = dy, .tap = tap, .dx = dx});
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
