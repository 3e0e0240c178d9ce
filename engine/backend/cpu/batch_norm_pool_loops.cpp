#include "engine/backend/cpu/batch_norm_pool_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/batch_norm_pool_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <type_traits>

#include "engine/backend/cpu/pool-inl.h"
#include "engine/backend/cpu/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

template <class D>
using TapsOf = hn::Rebind<std::uint8_t, D>;

/// The taps of a vector of floats, as integers of the floats' size.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToSigned<D>> load_taps(D, const std::uint8_t* taps) {
  return hn::PromoteTo(hn::RebindToSigned<D>(), hn::LoadU(TapsOf<D>(), taps));
}

/// Calls `body(d, row, lane)` for each row of windows and each vector of its lanes.
template <int kLanes, class Body>
HWY_INLINE void for_each_window_row(const PoolPlane& p, Body body) {
  const LanesOf<kLanes> d;
  for (std::int64_t row = 0; row < p.output_height; ++row) {
    for (std::int64_t lane = 0; lane < kLanes; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
      body(d, row, lane);
    }
  }
}

/// What batch norm makes of a few channels.
template <class D>
struct Norm {
  hn::Vec<D> mean, scale, shift;

  template <typename T>
  HWY_INLINE Norm(D d, const NormalizedPool<T>& p, std::int64_t lane)
      : mean(load(d, p.mean, lane)), scale(load(d, p.scale, lane)), shift(load(d, p.shift, lane)) {}
  HWY_INLINE hn::Vec<D> value(hn::Vec<D> x) const { return hn::Add(hn::Mul(hn::Sub(x, mean), scale), shift); }
};

/// The maximum of a window.
template <class D>
struct Winner {
  hn::Vec<D> y, x;
  hn::Vec<hn::RebindToSigned<D>> tap;
};

/// Tap by tap.
template <int kSide, class D, typename T>
HWY_INLINE Winner<D> winner_in_turn(D d, const PoolPlane& p, const T* x, const Norm<D>& norm,
                                    std::int64_t row, std::int64_t column) {
  const hn::RebindToSigned<D> di;
  // Nothing at or below zero wins.
  Winner<D> best{hn::Zero(d), hn::Zero(d), hn::Set(di, kNothingPasses)};
  for_each_tap<kSide>(p, row, column, [&](std::int64_t at, std::int32_t number) INLINE_LAMBDA {
    const auto value = load(d, x + at);
    const auto y = norm.value(value);
    // Not greater, or nothing takes the place of a NaN.
    const auto keep = hn::Or(hn::Le(y, best.y), hn::IsNaN(best.y));
    best.y = hn::IfThenElse(keep, best.y, y);
    best.x = hn::IfThenElse(keep, best.x, value);
    best.tap = hn::IfThenElse(hn::RebindMask(di, keep), best.tap, hn::Set(di, number));
  });
  return best;
}

/// Of a window of two by two: the maximum first, then the first tap that has it. Maxima do not know NaN, so
/// windows with one are done in turn.
template <class D, typename T>
HWY_INLINE Winner<D> winner_of_four(D d, const PoolPlane& p, const T* x, const Norm<D>& norm,
                                    std::int64_t row, std::int64_t column) {
  const hn::RebindToSigned<D> di;
  const T* const first = x + (row * p.width + column) * p.pixel;
  const T* const second = first + p.width * p.pixel;
  const auto a = load(d, first), b = load(d, first + p.pixel);
  const auto c = load(d, second), e = load(d, second + p.pixel);
  const auto ya = norm.value(a), yb = norm.value(b), yc = norm.value(c), ye = norm.value(e);
  const auto any_nan = hn::IsNaN(hn::Add(hn::Add(ya, yb), hn::Add(yc, ye)));  // or infinities of two signs
  if (HWY_UNLIKELY(!hn::AllFalse(d, any_nan))) {
    return winner_in_turn<2>(d, p, x, norm, row, column);
  }
  const auto zero = hn::Zero(d);
  const auto y = hn::Max(hn::Max(hn::Max(ya, yb), hn::Max(yc, ye)), zero);
  const auto passes = hn::Gt(y, zero);
  const auto is_a = hn::Eq(ya, y), is_b = hn::Eq(yb, y), is_c = hn::Eq(yc, y);
  const auto x_there = hn::IfThenElse(is_a, a, hn::IfThenElse(is_b, b, hn::IfThenElse(is_c, c, e)));
  const auto behind_a =
      hn::IfThenElse(hn::RebindMask(di, is_b), hn::Set(di, 1),
                     hn::IfThenElse(hn::RebindMask(di, is_c), hn::Set(di, 2), hn::Set(di, 3)));
  const auto tap = hn::IfThenZeroElse(hn::RebindMask(di, is_a), behind_a);
  return {y, hn::IfThenElseZero(passes, x_there),
          hn::IfThenElse(hn::RebindMask(di, passes), tap, hn::Set(di, kNothingPasses))};
}

/// The maximum of a window of `kSide` by `kSide`, or of any other.
template <int kSide, class D, typename T>
HWY_INLINE Winner<D> winner(D d, const PoolPlane& p, const T* x, const Norm<D>& norm, std::int64_t row,
                            std::int64_t column) {
  if constexpr (kSide == 2) return winner_of_four(d, p, x, norm, row, column);
  return winner_in_turn<kSide>(d, p, x, norm, row, column);
}

template <bool kKeep, typename T>
struct Forward {
  const NormalizedPool<T>& pool;

  template <int kLanes, int kSide>
  HWY_INLINE void run(const PoolPlane& p) const {
    for_each_window_row<kLanes>(p, [&](auto d, std::int64_t i, std::int64_t lane) INLINE_LAMBDA {
      using D = decltype(d);
      const Norm<D> norm(d, pool, lane);
      const T* const x = pool.x + lane;
      std::int64_t to = i * p.output_width * p.pixel + lane;
      for (std::int64_t j = 0; j < p.output_width; ++j, to += p.pixel) {
        const auto best = winner<kSide>(d, p, x, norm, i * p.window.stride[0], j * p.window.stride[1]);
        store(best.y, d, pool.y + to);
        if constexpr (kKeep) {
          store(best.x, d, pool.winner + to);
          hn::StoreU(hn::DemoteTo(TapsOf<D>(), best.tap), TapsOf<D>(), pool.tap + to);
        }
      }
    });
  }
};

/// scale g, slope and constant of a few channels: what makes dx.
template <class D>
struct Slope {
  hn::Vec<D> mean, scale, slope, constant;

  template <typename T>
  HWY_INLINE Slope(D d, const PooledInputGradient<T>& p, std::int64_t lane)
      : mean(load(d, p.mean, lane)),
        scale(load(d, p.scale, lane)),
        slope(load(d, p.slope, lane)),
        constant(load(d, p.constant, lane)) {}
  /// dx without g.
  HWY_INLINE hn::Vec<D> rest(hn::Vec<D> x) const {
    return hn::Add(hn::Mul(slope, hn::Sub(x, mean)), constant);
  }
};

template <typename T>
struct Backward {
  const PooledInputGradient<T>& pool;

  template <int kLanes, int kSide>
  HWY_INLINE void run(const PoolPlane& p) const {
    if (!tiles(p)) fill_rest<kLanes>(p);
    for_each_window_row<kLanes>(p, [&](auto d, std::int64_t i, std::int64_t lane) INLINE_LAMBDA {
      const hn::RebindToSigned<decltype(d)> di;
      const Slope<decltype(d)> of(d, pool, lane);
      const T* const x = pool.x + lane;
      T* const dx = pool.dx + lane;
      std::int64_t from = i * p.output_width * p.pixel + lane;
      for (std::int64_t j = 0; j < p.output_width; ++j, from += p.pixel) {
        const auto scaled = hn::Mul(of.scale, load(d, pool.dy + from));
        const auto tap = load_taps(d, pool.tap + from);
        for_each_tap<kSide>(p, i * p.window.stride[0], j * p.window.stride[1],
                            [&](std::int64_t at, std::int32_t number) INLINE_LAMBDA {
                              const auto rest = of.rest(load(d, x + at));
                              const auto here = hn::RebindMask(d, hn::Eq(tap, hn::Set(di, number)));
                              store(hn::Add(hn::IfThenElseZero(here, scaled), rest), d, dx + at);
                            });
      }
    });
  }

  /// As if no dy came anywhere: for what lies in no window.
  template <int kLanes>
  HWY_INLINE void fill_rest(const PoolPlane& p) const {
    const LanesOf<kLanes> d;
    for (std::int64_t lane = 0; lane < kLanes; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
      const Slope<LanesOf<kLanes>> of(d, pool, lane);
      for (std::int64_t i = 0; i < p.height * p.width; ++i) {
        const std::int64_t at = i * p.pixel + lane;
        store(of.rest(load(d, pool.x + at)), d, pool.dx + at);
      }
    }
  }
};

template <int kLanes, class Pass>
HWY_INLINE void run_lanes(const PoolPlane& p, Pass pass) {
  if (same(p.window.kernel_size, {2, 2})) return pass.template run<kLanes, 2>(p);
  pass.template run<kLanes, 0>(p);
}

template <class Pass>
HWY_INLINE void run(const PoolPlane& p, Pass pass) {
  if (p.lanes == 16) return run_lanes<16>(p, pass);
  if (p.lanes == 8) return run_lanes<8>(p, pass);
  run_lanes<1>(p, pass);
}

template <typename T>
HWY_INLINE void normalize_and_pool_of(const NormalizedPool<T>& pool) {
  if (pool.tap) return run(pool.plane, Forward<true, T>{pool});
  run(pool.plane, Forward<false, T>{pool});
}

template <typename T>
HWY_INLINE void add_pooled_gradients_of(const PooledGradientSums<T>& p) {
  for_each_part(p.size, p.row, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto none = hn::Set(hn::RebindToSigned<decltype(d)>(), kNothingPasses);
    const auto mean = load(d, p.mean, lane);
    sum_rows(d, begin, end, p.row, lane, p.sum, p.products,
             [&](std::int64_t i, auto& sum, auto& products) HWY_ATTR {
               const auto stopped = hn::RebindMask(d, hn::Eq(load_taps(d, p.tap + i), none));
               const auto g = hn::IfThenZeroElse(stopped, load(d, p.dy + i));
               sum = hn::Add(sum, g);
               products = hn::Add(products, hn::Mul(g, hn::Sub(load(d, p.winner + i), mean)));
             });
  });
}

void normalize_and_pool_f32(const NormalizedPool<float>& p) { normalize_and_pool_of(p); }
void normalize_and_pool_bf16(const NormalizedPool<Bfloat16>& p) { normalize_and_pool_of(p); }
void add_pooled_gradients_f32(const PooledGradientSums<float>& p) { add_pooled_gradients_of(p); }
void add_pooled_gradients_bf16(const PooledGradientSums<Bfloat16>& p) { add_pooled_gradients_of(p); }
void differentiate_pooled_f32(const PooledInputGradient<float>& p) { run(p.plane, Backward<float>{p}); }
void differentiate_pooled_bf16(const PooledInputGradient<Bfloat16>& p) {
  run(p.plane, Backward<Bfloat16>{p});
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(normalize_and_pool_f32);
HWY_EXPORT(normalize_and_pool_bf16);
HWY_EXPORT(add_pooled_gradients_f32);
HWY_EXPORT(add_pooled_gradients_bf16);
HWY_EXPORT(differentiate_pooled_f32);
HWY_EXPORT(differentiate_pooled_bf16);

void normalize_and_pool(const NormalizedPool<float>& pool) {
  HWY_DYNAMIC_DISPATCH(normalize_and_pool_f32)(pool);
}
void normalize_and_pool(const NormalizedPool<Bfloat16>& pool) {
  HWY_DYNAMIC_DISPATCH(normalize_and_pool_bf16)(pool);
}
void add_pooled_gradients(const PooledGradientSums<float>& plane) {
  HWY_DYNAMIC_DISPATCH(add_pooled_gradients_f32)(plane);
}
void add_pooled_gradients(const PooledGradientSums<Bfloat16>& plane) {
  HWY_DYNAMIC_DISPATCH(add_pooled_gradients_bf16)(plane);
}
void differentiate_pooled(const PooledInputGradient<float>& pool) {
  HWY_DYNAMIC_DISPATCH(differentiate_pooled_f32)(pool);
}
void differentiate_pooled(const PooledInputGradient<Bfloat16>& pool) {
  HWY_DYNAMIC_DISPATCH(differentiate_pooled_bf16)(pool);
}

}  // namespace convoy::cpu
#endif
