// Included once for each of Highway's targets, by loops over planes in rows of 16 floats (channel_rows.h).
#if defined(CONVOY_CPU_ROWS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_ROWS_INL
#undef CONVOY_CPU_ROWS_INL
#else
#define CONVOY_CPU_ROWS_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "engine/backend/cpu/row.h"
#include "engine/backend/cpu/storage-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows that are walked together: few enough to stay in the first cache, where a row takes several registers.
// They are summed in floats before the sum goes on in double: at most 64 terms in each sum, so that a plane
// of any size costs no digit.
constexpr std::int64_t kChunk = 64;

/// Calls `body(d, begin, end, lane)` for the elements from `begin` on, one every `row` until `end`, of
/// vectors that begin with that lane of a row. What is left behind the rows comes one by one.
template <class Body>
HWY_INLINE void for_each_part(std::int64_t size, std::int64_t row, Body body) {
  const hn::CappedTag<float, kRow> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t rows = size / kRow;
  for (std::int64_t begin = 0; begin < rows; begin += kChunk) {
    for (std::int64_t lane = 0; lane < kRow; lane += lanes) {
      body(d, begin * row + lane, std::min(rows, begin + kChunk) * row, lane);
    }
  }
  const hn::CappedTag<float, 1> one;
  for (std::int64_t lane = 0; lane < size - rows * kRow; ++lane) {
    body(one, rows * row + lane, rows * row + lane + 1, lane);
  }
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
HWY_INLINE void sum_rows(D d, std::int64_t begin, std::int64_t end, std::int64_t row, std::int64_t lane,
                         DoubleRow& first, DoubleRow& second, Add add) {
  auto a = hn::Zero(d), b = hn::Zero(d), other_a = hn::Zero(d), other_b = hn::Zero(d);
  std::int64_t i = begin;
  for (; i + row < end; i += 2 * row) {
    add(i, a, b);
    add(i + row, other_a, other_b);
  }
  if (i < end) add(i, a, b);
  fold(d, hn::Add(a, other_a), first, lane);
  fold(d, hn::Add(b, other_b), second, lane);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
