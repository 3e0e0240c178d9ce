#include "engine/backend/cpu/batch_norm_loops.h"

#include <algorithm>
#include <cstring>

#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/vectorized.h"

namespace convoy::cpu {
namespace {

/// 16 floats: one register of AVX-512, two of AVX, four of SSE or NEON.
using Floats16 = float __attribute__((vector_size(64)));

constexpr Floats16 kZero{};

inline Floats16 load16(const float* from) {
  Floats16 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline void store16(float* to, Floats16 value) { std::memcpy(to, &value, sizeof value); }

// Floats that are summed in floats before the sum goes on in double: 64 terms in each of 16 sums, so that a
// plane of any size costs no digit.
constexpr std::int64_t kChunk = 64 * kRow;

inline void fold(DoubleRow& into, Floats16 sum) {
  Row row;
  store16(row.data(), sum);
  for (std::size_t j = 0; j < row.size(); ++j) into[j] += row[j];
}

// As relu_passes, 16 at once.
inline Floats16 behind_relu(Floats16 value, Floats16 y, bool relu) {
  return relu ? (y <= kZero ? kZero : value) : value;
}

inline float behind_relu(float value, float y, bool relu) { return !relu || relu_passes(y) ? value : 0.0f; }

}  // namespace

CONVOY_VECTORIZED void add_deviations(const DeviationSums& p) {
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats16 pivot = load16(p.pivot.data());
  for (std::int64_t begin = 0; begin < whole; begin += kChunk) {
    Floats16 sum = kZero;
    Floats16 squares = kZero;
    for (std::int64_t i = begin; i < std::min(whole, begin + kChunk); i += kRow) {
      const Floats16 d = load16(p.x + i) - pivot;
      sum += d;
      squares += d * d;
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

CONVOY_VECTORIZED void normalize(const Normalization16& p) {
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats16 mean = load16(p.mean.data());
  const Floats16 scale = load16(p.scale.data());
  const Floats16 shift = load16(p.shift.data());
  for (std::int64_t i = 0; i < whole; i += kRow) {
    const Floats16 value = (load16(p.x + i) - mean) * scale + shift;
    store16(p.y + i, behind_relu(value, value, p.relu));
  }
  for (std::int64_t i = whole; i < p.size; ++i) {
    const auto j = static_cast<std::size_t>(i - whole);
    const float value = (p.x[i] - p.mean[j]) * p.scale[j] + p.shift[j];
    p.y[i] = behind_relu(value, value, p.relu);
  }
}

CONVOY_VECTORIZED void add_gradients(const GradientSums& p) {
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats16 mean = load16(p.mean.data());
  const Floats16 scale = load16(p.scale.data());
  const Floats16 shift = load16(p.shift.data());
  for (std::int64_t begin = 0; begin < whole; begin += kChunk) {
    Floats16 sum = kZero;
    Floats16 products = kZero;
    for (std::int64_t i = begin; i < std::min(whole, begin + kChunk); i += kRow) {
      const Floats16 d = load16(p.x + i) - mean;
      const Floats16 g = behind_relu(load16(p.dy + i), d * scale + shift, p.relu);
      sum += g;
      products += g * d;
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

CONVOY_VECTORIZED void differentiate(const InputGradient& p) {
  const std::int64_t whole = p.size / kRow * kRow;
  const Floats16 mean = load16(p.mean.data());
  const Floats16 scale = load16(p.scale.data());
  const Floats16 shift = load16(p.shift.data());
  const Floats16 slope = load16(p.slope.data());
  const Floats16 constant = load16(p.constant.data());
  for (std::int64_t i = 0; i < whole; i += kRow) {
    const Floats16 d = load16(p.x + i) - mean;
    const Floats16 g = behind_relu(load16(p.dy + i), d * scale + shift, p.relu);
    store16(p.dx + i, scale * g + (slope * d + constant));
  }
  for (std::int64_t i = whole; i < p.size; ++i) {
    const auto j = static_cast<std::size_t>(i - whole);
    const float d = p.x[i] - p.mean[j];
    const float g = behind_relu(p.dy[i], d * p.scale[j] + p.shift[j], p.relu);
    p.dx[i] = p.scale[j] * g + (p.slope[j] * d + p.constant[j]);
  }
}

}  // namespace convoy::cpu
