// Included once for each of Highway's targets, by loops over the windows of a max pool.
#if defined(CONVOY_CPU_POOL_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_POOL_INL
#undef CONVOY_CPU_POOL_INL
#else
#define CONVOY_CPU_POOL_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "engine/backend/cpu/max_pool_loops.h"

// Of a lambda that is called in two places and must not be called at all.
#undef INLINE_LAMBDA
#define INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <int kLanes>
using LanesOf = hn::CappedTag<float, kLanes>;  // side by side; they may take several vectors

/// Calls `body(where the tap lies, its number)` for the taps of a window that lie within the plane. Windows
/// of `kSide` by `kSide` are unrolled where all of them do; 0 is any other window.
template <int kSide, class Body>
HWY_INLINE void for_each_tap(const PoolPlane& p, std::int64_t row, std::int64_t column, Body body) {
  const bool inside = row >= 0 && column >= 0 && row + kSide <= p.height && column + kSide <= p.width;
  if (kSide > 0 && inside) {
    for (int i = 0; i < kSide; ++i) {
      const std::int64_t line = ((row + i) * p.width + column) * p.pixel;
      for (int j = 0; j < kSide; ++j) body(line + j * p.pixel, i * kSide + j);
    }
    return;
  }
  const std::int64_t last_i = std::min(p.window.kernel_size[0], p.height - row);
  const std::int64_t last_j = std::min(p.window.kernel_size[1], p.width - column);
  for (std::int64_t i = std::max<std::int64_t>(0, -row); i < last_i; ++i) {
    for (std::int64_t j = std::max<std::int64_t>(0, -column); j < last_j; ++j) {
      body(((row + i) * p.width + column + j) * p.pixel,
           static_cast<std::int32_t>(i * p.window.kernel_size[1] + j));
    }
  }
}

/// Not by ==, for which the compiler calls memcmp.
HWY_INLINE bool same(const Extent& a, const Extent& b) { return a[0] == b[0] && a[1] == b[1]; }

/// Whether every element lies in one window exactly.
HWY_INLINE bool tiles(const PoolPlane& p) {
  const Window& w = p.window;
  return same(w.stride, w.kernel_size) && p.height == p.output_height * w.stride[0] &&
         p.width == p.output_width * w.stride[1] && same(w.padding, {0, 0});
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
