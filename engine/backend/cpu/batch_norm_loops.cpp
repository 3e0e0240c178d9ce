#include "engine/backend/cpu/batch_norm_loops.h"

#include <algorithm>

#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/vectorized.h"

namespace convoy::cpu {
namespace {

template <int kBytes>
using FloatRow = Wide<float, kRow, kBytes>;

// Floats that are summed in floats before the sum goes on in double: 64 terms in each of 16 sums, so that a
// plane of any size costs no digit.
constexpr std::int64_t kChunk = 64 * kRow;

template <int kBytes>
[[gnu::always_inline]] inline void fold(DoubleRow& into, const FloatRow<kBytes>& sum) {
  Row row;
  sum.store(row.data());
  for (std::size_t j = 0; j < row.size(); ++j) into[j] += row[j];
}

// As relu_passes, a row at once.
template <int kBytes>
[[gnu::always_inline]] inline FloatRow<kBytes> behind_relu(const FloatRow<kBytes>& value,
                                                           const FloatRow<kBytes>& y, bool relu) {
  const FloatRow<kBytes> zero{};
  return relu ? FloatRow<kBytes>::choose(y <= zero, zero, value) : value;
}

inline float behind_relu(float value, float y, bool relu) { return !relu || relu_passes(y) ? value : 0.0f; }

template <int kBytes>
[[gnu::always_inline]] inline void add_deviations_in(const DeviationSums& p) {
  using Floats = FloatRow<kBytes>;
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats pivot = Floats::load(p.pivot.data());
  for (std::int64_t begin = 0; begin < whole; begin += kChunk) {
    Floats sum = {};
    Floats squares = {};
    for (std::int64_t i = begin; i < std::min(whole, begin + kChunk); i += kRow) {
      const Floats d = Floats::load(p.x + i) - pivot;
      sum = sum + d;
      squares = squares + d * d;
    }
    fold(p.sum, sum);
    fold(p.squares, squares);
  }
  for (std::int64_t i = whole; i < p.size; ++i) {
    const auto j = static_cast<std::size_t>(i - whole);
    const float d = p.x[i] - p.pivot[j];
    p.sum[j] += d;
    p.squares[j] += d * d;
  }
}

template <int kBytes>
[[gnu::always_inline]] inline void normalize_in(const Normalization16& p) {
  using Floats = FloatRow<kBytes>;
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats mean = Floats::load(p.mean.data());
  const Floats scale = Floats::load(p.scale.data());
  const Floats shift = Floats::load(p.shift.data());
  for (std::int64_t i = 0; i < whole; i += kRow) {
    const Floats value = (Floats::load(p.x + i) - mean) * scale + shift;
    behind_relu(value, value, p.relu).store(p.y + i);
  }
  for (std::int64_t i = whole; i < p.size; ++i) {
    const auto j = static_cast<std::size_t>(i - whole);
    const float value = (p.x[i] - p.mean[j]) * p.scale[j] + p.shift[j];
    p.y[i] = behind_relu(value, value, p.relu);
  }
}

template <int kBytes>
[[gnu::always_inline]] inline void add_gradients_in(const GradientSums& p) {
  using Floats = FloatRow<kBytes>;
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats mean = Floats::load(p.mean.data());
  const Floats scale = Floats::load(p.scale.data());
  const Floats shift = Floats::load(p.shift.data());
  for (std::int64_t begin = 0; begin < whole; begin += kChunk) {
    Floats sum = {};
    Floats products = {};
    for (std::int64_t i = begin; i < std::min(whole, begin + kChunk); i += kRow) {
      const Floats d = Floats::load(p.x + i) - mean;
      const Floats g = behind_relu(Floats::load(p.dy + i), d * scale + shift, p.relu);
      sum = sum + g;
      products = products + g * d;
    }
    fold(p.sum, sum);
    fold(p.products, products);
  }
  for (std::int64_t i = whole; i < p.size; ++i) {
    const auto j = static_cast<std::size_t>(i - whole);
    const float d = p.x[i] - p.mean[j];
    const float g = behind_relu(p.dy[i], d * p.scale[j] + p.shift[j], p.relu);
    p.sum[j] += g;
    p.products[j] += g * d;
  }
}

template <int kBytes>
[[gnu::always_inline]] inline void differentiate_in(const InputGradient& p) {
  using Floats = FloatRow<kBytes>;
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats mean = Floats::load(p.mean.data());
  const Floats scale = Floats::load(p.scale.data());
  const Floats shift = Floats::load(p.shift.data());
  const Floats slope = Floats::load(p.slope.data());
  const Floats constant = Floats::load(p.constant.data());
  for (std::int64_t i = 0; i < whole; i += kRow) {
    const Floats d = Floats::load(p.x + i) - mean;
    const Floats g = behind_relu(Floats::load(p.dy + i), d * scale + shift, p.relu);
    (scale * g + (slope * d + constant)).store(p.dx + i);
  }
  for (std::int64_t i = whole; i < p.size; ++i) {
    const auto j = static_cast<std::size_t>(i - whole);
    const float d = p.x[i] - p.mean[j];
    const float g = behind_relu(p.dy[i], d * p.scale[j] + p.shift[j], p.relu);
    p.dx[i] = p.scale[j] * g + (p.slope[j] * d + p.constant[j]);
  }
}

}  // namespace

void add_deviations(const DeviationSums& p, int bytes) {
  vectorized(
      bytes, [&]<int kBytes>() __attribute__((always_inline)) { add_deviations_in<kBytes>(p); });
}

void normalize(const Normalization16& p, int bytes) {
  vectorized(
      bytes, [&]<int kBytes>() __attribute__((always_inline)) { normalize_in<kBytes>(p); });
}

void add_gradients(const GradientSums& p, int bytes) {
  vectorized(
      bytes, [&]<int kBytes>() __attribute__((always_inline)) { add_gradients_in<kBytes>(p); });
}

void differentiate(const InputGradient& p, int bytes) {
  vectorized(
      bytes, [&]<int kBytes>() __attribute__((always_inline)) { differentiate_in<kBytes>(p); });
}

}  // namespace convoy::cpu
