#include "engine/backend/cpu/batch_norm_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/batch_norm_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "engine/backend/cpu/relu-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

// Floats that are walked together: few enough to stay in the first cache, where a row takes several
// registers. They are summed in floats before the sum goes on in double: at most 64 terms in each sum, so
// that a plane of any size costs no digit.
constexpr std::int64_t kChunk = 64 * kRow;

/// Calls `body(d, begin, end, lane)` for the floats from `begin` on, every row until `end`, of vectors that
/// begin with that lane of a row. What is left behind the rows comes one by one.
template <class Body>
HWY_INLINE void for_each_part(std::int64_t size, Body body) {
  const hn::CappedTag<float, kRow> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = size / kRow * kRow;
  for (std::int64_t begin = 0; begin < whole; begin += kChunk) {
    for (std::int64_t lane = 0; lane < kRow; lane += lanes) {
      body(d, begin + lane, std::min(whole, begin + kChunk), lane);
    }
  }
  const hn::CappedTag<float, 1> one;
  for (std::int64_t i = whole; i < size; ++i) body(one, i, size, i - whole);
}

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const Row& row, std::int64_t lane) {
  return hn::LoadU(d, row.data() + lane);
}

/// into += sum
template <class D>
HWY_INLINE void fold(D d, hn::Vec<D> sum, DoubleRow& into, std::int64_t lane) {
  float terms[kRow];
  hn::StoreU(sum, d, terms);
  for (std::size_t j = 0; j < hn::Lanes(d); ++j) into[static_cast<std::size_t>(lane) + j] += terms[j];
}

/// Adds to two pairs of sums in turn, as one addition would wait for the other: `add(i, sum, sum)`.
template <class D, class Add>
HWY_INLINE void sum_rows(D d, std::int64_t begin, std::int64_t end, std::int64_t lane, DoubleRow& first,
                         DoubleRow& second, Add add) {
  auto a = hn::Zero(d), b = hn::Zero(d), other_a = hn::Zero(d), other_b = hn::Zero(d);
  std::int64_t i = begin;
  for (; i + kRow < end; i += 2 * kRow) {
    add(i, a, b);
    add(i + kRow, other_a, other_b);
  }
  if (i < end) add(i, a, b);
  fold(d, hn::Add(a, other_a), first, lane);
  fold(d, hn::Add(b, other_b), second, lane);
}

void add_deviations(const DeviationSums& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto pivot = load(d, p.pivot, lane);
    sum_rows(d, begin, end, lane, p.sum, p.squares, [&](std::int64_t i, auto& sum, auto& squares) HWY_ATTR {
      const auto deviation = hn::Sub(hn::LoadU(d, p.x + i), pivot);
      sum = hn::Add(sum, deviation);
      squares = hn::Add(squares, hn::Mul(deviation, deviation));
    });
  });
}

void normalize(const Normalization16& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto threshold = relu_threshold(d, p.relu);
    for (std::int64_t i = begin; i < end; i += kRow) {
      const auto y = hn::Add(hn::Mul(hn::Sub(hn::LoadU(d, p.x + i), mean), scale), shift);
      hn::StoreU(behind_relu(y, y, threshold), d, p.y + i);
    }
  });
}

void add_gradients(const GradientSums& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto threshold = relu_threshold(d, p.relu);
    sum_rows(d, begin, end, lane, p.sum, p.products, [&](std::int64_t i, auto& sum, auto& products) HWY_ATTR {
      const auto deviation = hn::Sub(hn::LoadU(d, p.x + i), mean);
      const auto y = hn::Add(hn::Mul(deviation, scale), shift);
      const auto g = behind_relu(hn::LoadU(d, p.dy + i), y, threshold);
      sum = hn::Add(sum, g);
      products = hn::Add(products, hn::Mul(g, deviation));
    });
  });
}

void differentiate(const InputGradient& p) {
  for_each_part(p.size, [&](auto d, std::int64_t begin, std::int64_t end, std::int64_t lane) HWY_ATTR {
    const auto mean = load(d, p.mean, lane);
    const auto scale = load(d, p.scale, lane);
    const auto shift = load(d, p.shift, lane);
    const auto slope = load(d, p.slope, lane);
    const auto constant = load(d, p.constant, lane);
    const auto threshold = relu_threshold(d, p.relu);
    for (std::int64_t i = begin; i < end; i += kRow) {
      const auto deviation = hn::Sub(hn::LoadU(d, p.x + i), mean);
      const auto y = hn::Add(hn::Mul(deviation, scale), shift);
      const auto g = behind_relu(hn::LoadU(d, p.dy + i), y, threshold);
      const auto rest = hn::Add(hn::Mul(slope, deviation), constant);
      hn::StoreU(hn::Add(hn::Mul(scale, g), rest), d, p.dx + i);
    }
  });
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(add_deviations);
HWY_EXPORT(normalize);
HWY_EXPORT(add_gradients);
HWY_EXPORT(differentiate);

void add_deviations(const DeviationSums& plane) { HWY_DYNAMIC_DISPATCH(add_deviations)(plane); }
void normalize(const Normalization16& plane) { HWY_DYNAMIC_DISPATCH(normalize)(plane); }
void add_gradients(const GradientSums& plane) { HWY_DYNAMIC_DISPATCH(add_gradients)(plane); }
void differentiate(const InputGradient& plane) { HWY_DYNAMIC_DISPATCH(differentiate)(plane); }

}  // namespace convoy::cpu
#endif
