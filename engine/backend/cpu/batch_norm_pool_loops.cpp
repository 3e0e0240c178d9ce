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

  HWY_INLINE Norm(D d, const NormalizedPool& p, std::int64_t lane)
      : mean(load(d, p.mean, lane)), scale(load(d, p.scale, lane)), shift(load(d, p.shift, lane)) {}
  HWY_INLINE hn::Vec<D> value(hn::Vec<D> deviation) const {
    return hn::Add(hn::Mul(deviation, scale), shift);
  }
};

/// The maximum of a window.
template <class D>
struct Winner {
  hn::Vec<D> y, deviation;
  hn::Vec<hn::RebindToSigned<D>> tap;
};

/// Tap by tap.
template <int kLanes, int kSide, class D>
HWY_INLINE Winner<D> winner_in_turn(D d, const PoolPlane& p, const float* x, const Norm<D>& norm,
                                    std::int64_t row, std::int64_t column) {
  const hn::RebindToSigned<D> di;
  // Nothing at or below zero wins.
  Winner<D> best{hn::Zero(d), hn::Zero(d), hn::Set(di, kNoTap)};
  for_each_tap<kLanes, kSide>(p, row, column, [&](std::int64_t at, std::int32_t number) INLINE_LAMBDA {
    const auto deviation = hn::Sub(hn::LoadU(d, x + at), norm.mean);
    const auto y = norm.value(deviation);
    // Not greater, or nothing takes the place of a NaN.
    const auto keep = hn::Or(hn::Le(y, best.y), hn::IsNaN(best.y));
    best.y = hn::IfThenElse(keep, best.y, y);
    best.deviation = hn::IfThenElse(keep, best.deviation, deviation);
    best.tap = hn::IfThenElse(hn::RebindMask(di, keep), best.tap, hn::Set(di, number));
  });
  return best;
}

/// Of a window of two by two: the maximum first, then the first tap that has it. Maxima do not know NaN, so
/// windows with one are done in turn.
template <int kLanes, class D>
HWY_INLINE Winner<D> winner_of_four(D d, const PoolPlane& p, const float* x, const Norm<D>& norm,
                                    std::int64_t row, std::int64_t column) {
  const hn::RebindToSigned<D> di;
  const float* const first = x + (row * p.width + column) * kLanes;
  const float* const second = first + p.width * kLanes;
  const auto a = hn::Sub(hn::LoadU(d, first), norm.mean);
  const auto b = hn::Sub(hn::LoadU(d, first + kLanes), norm.mean);
  const auto c = hn::Sub(hn::LoadU(d, second), norm.mean);
  const auto e = hn::Sub(hn::LoadU(d, second + kLanes), norm.mean);
  const auto ya = norm.value(a), yb = norm.value(b), yc = norm.value(c), ye = norm.value(e);
  const auto any_nan = hn::IsNaN(hn::Add(hn::Add(ya, yb), hn::Add(yc, ye)));  // or infinities of two signs
  if (HWY_UNLIKELY(!hn::AllFalse(d, any_nan))) {
    return winner_in_turn<kLanes, 2>(d, p, x, norm, row, column);
  }
  const auto zero = hn::Zero(d);
  const auto y = hn::Max(hn::Max(hn::Max(ya, yb), hn::Max(yc, ye)), zero);
  const auto passes = hn::Gt(y, zero);
  const auto is_a = hn::Eq(ya, y), is_b = hn::Eq(yb, y), is_c = hn::Eq(yc, y);
  const auto deviation = hn::IfThenElse(is_a, a, hn::IfThenElse(is_b, b, hn::IfThenElse(is_c, c, e)));
  const auto behind_a =
      hn::IfThenElse(hn::RebindMask(di, is_b), hn::Set(di, 1),
                     hn::IfThenElse(hn::RebindMask(di, is_c), hn::Set(di, 2), hn::Set(di, 3)));
  const auto tap = hn::IfThenZeroElse(hn::RebindMask(di, is_a), behind_a);
  return {y, hn::IfThenElseZero(passes, deviation),
          hn::IfThenElse(hn::RebindMask(di, passes), tap, hn::Set(di, kNoTap))};
}

/// The maximum of a window of `kSide` by `kSide`, or of any other.
template <int kLanes, int kSide, class D>
HWY_INLINE Winner<D> winner(D d, const PoolPlane& p, const float* x, const Norm<D>& norm, std::int64_t row,
                            std::int64_t column) {
  if constexpr (kSide == 2) return winner_of_four<kLanes>(d, p, x, norm, row, column);
  return winner_in_turn<kLanes, kSide>(d, p, x, norm, row, column);
}

template <bool kKeep>
struct Forward {
  const NormalizedPool& pool;

  template <int kLanes, int kSide>
  HWY_INLINE void run(const PoolPlane& p) const {
    for_each_window_row<kLanes>(p, [&](auto d, std::int64_t i, std::int64_t lane) INLINE_LAMBDA {
      using D = decltype(d);
      const Norm<D> norm(d, pool, lane);
      const float* const x = pool.x + lane;
      std::int64_t to = i * p.output_width * kLanes + lane;
      for (std::int64_t j = 0; j < p.output_width; ++j, to += kLanes) {
        const auto best =
            winner<kLanes, kSide>(d, p, x, norm, i * p.window.stride[0], j * p.window.stride[1]);
        hn::StoreU(best.y, d, pool.y + to);
        if constexpr (kKeep) {
          hn::StoreU(best.deviation, d, pool.deviation + to);
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

  HWY_INLINE Slope(D d, const PooledInputGradient& p, std::int64_t lane)
      : mean(load(d, p.mean, lane)),
        scale(load(d, p.scale, lane)),
        slope(load(d, p.slope, lane)),
        constant(load(d, p.constant, lane)) {}
  /// dx without g.
  HWY_INLINE hn::Vec<D> rest(hn::Vec<D> x) const {
    return hn::Add(hn::Mul(slope, hn::Sub(x, mean)), constant);
  }
};

struct Backward {
  const PooledInputGradient& pool;

  template <int kLanes, int kSide>
  HWY_INLINE void run(const PoolPlane& p) const {
    if (tiles(p)) return run<kLanes, kSide, true>(p);
    for_each_part(p.height * p.width * kLanes,
                  [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
                    const Slope<decltype(d)> of(d, pool, lane);
                    for (std::int64_t i = begin; i < end; i += kRow) {
                      hn::StoreU(of.rest(hn::LoadU(d, pool.x + i)), d, pool.dx + i);
                    }
                  });
    run<kLanes, kSide, false>(p);
  }

  /// Writes dx, or adds what comes from dy to the rest.
  template <int kLanes, int kSide, bool kWrite>
  HWY_INLINE void run(const PoolPlane& p) const {
    for_each_window_row<kLanes>(p, [&](auto d, std::int64_t i, std::int64_t lane) INLINE_LAMBDA {
      const hn::RebindToSigned<decltype(d)> di;
      const Slope<decltype(d)> of(d, pool, lane);
      const float* const x = pool.x + lane;
      float* const dx = pool.dx + lane;
      std::int64_t from = i * p.output_width * kLanes + lane;
      for (std::int64_t j = 0; j < p.output_width; ++j, from += kLanes) {
        const auto scaled = hn::Mul(of.scale, hn::LoadU(d, pool.dy + from));
        const auto tap = load_taps(d, pool.tap + from);
        for_each_tap<kLanes, kSide>(p, i * p.window.stride[0], j * p.window.stride[1],
                                    [&](std::int64_t at, std::int32_t number) INLINE_LAMBDA {
                                      const auto rest =
                                          kWrite ? of.rest(hn::LoadU(d, x + at)) : hn::LoadU(d, dx + at);
                                      const auto here = hn::RebindMask(d, hn::Eq(tap, hn::Set(di, number)));
                                      hn::StoreU(hn::Add(hn::IfThenElseZero(here, scaled), rest), d, dx + at);
                                    });
      }
    });
  }
};

template <int kLanes, class Pass>
HWY_INLINE void run_lanes(const PoolPlane& p, Pass pass) {
  if (p.window.kernel_size == Extent{2, 2}) return pass.template run<kLanes, 2>(p);
  pass.template run<kLanes, 0>(p);
}

template <class Pass>
HWY_INLINE void run(const PoolPlane& p, Pass pass) {
  if (p.lanes == 16) return run_lanes<16>(p, pass);
  if (p.lanes == 8) return run_lanes<8>(p, pass);
  run_lanes<1>(p, pass);
}

void normalize_and_pool(const NormalizedPool& pool) {
  if (pool.tap) return run(pool.plane, Forward<true>{pool});
  run(pool.plane, Forward<false>{pool});
}

void add_pooled_gradients(const PooledGradientSums& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto none = hn::Set(hn::RebindToSigned<decltype(d)>(), kNoTap);
    sum_rows(d, begin, end, lane, p.sum, p.products, [&](std::int64_t i, auto& sum, auto& products) HWY_ATTR {
      const auto stopped = hn::RebindMask(d, hn::Eq(load_taps(d, p.tap + i), none));
      const auto g = hn::IfThenZeroElse(stopped, hn::LoadU(d, p.dy + i));
      sum = hn::Add(sum, g);
      products = hn::Add(products, hn::Mul(g, hn::LoadU(d, p.deviation + i)));
    });
  });
}

void differentiate_pooled(const PooledInputGradient& pool) { run(pool.plane, Backward{pool}); }

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(normalize_and_pool);
HWY_EXPORT(add_pooled_gradients);
HWY_EXPORT(differentiate_pooled);

void normalize_and_pool(const NormalizedPool& pool) { HWY_DYNAMIC_DISPATCH(normalize_and_pool)(pool); }
void add_pooled_gradients(const PooledGradientSums& plane) {
  HWY_DYNAMIC_DISPATCH(add_pooled_gradients)(plane);
}
void differentiate_pooled(const PooledInputGradient& pool) {
  HWY_DYNAMIC_DISPATCH(differentiate_pooled)(pool);
}

}  // namespace convoy::cpu
#endif
