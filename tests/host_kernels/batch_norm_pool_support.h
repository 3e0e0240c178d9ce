// What the tests of batch norm with a max pool behind it share.
#pragma once

#include "kernels/batch_norm_pool.h"

#include <cmath>

#include "tests/host_kernels/column_scratch.h"
#include "tests/host_kernels/pool_windows.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {

constexpr float kBatchNormEpsilon = 1e-5f;
constexpr std::uint8_t kNothingPasses = 255;

struct Case {
  const char* name;
  std::int64_t images;
  Extents in;
  std::int32_t channels;
  Extents kernel;
  Extents stride;

  PoolShape shape(DType dtype) const {
    return {images,
            in,
            {(in.height - kernel.height) / stride.height + 1, (in.width - kernel.width) / stride.width + 1},
            channels,
            {.kernel = kernel, .stride = stride},
            dtype};
  }
};

inline const Case kCases[] = {
    {"of the ConvNet", 3, {14, 14}, 16, {2, 2}, {2, 2}},
    {"a row and a column in no window", 2, {5, 7}, 8, {2, 2}, {2, 2}},
    {"odd channels", 2, {6, 9}, 5, {3, 2}, {3, 2}},
    {"one channel, several slabs of rows", 5, {32, 30}, 1, {2, 3}, {2, 3}},
    {"gaps between windows", 2, {10, 11}, 24, {2, 1}, {3, 4}},
    {"one window, the rest in none", 4, {9, 8}, 12, {8, 6}, {100, 100}},
    {"one tap", 3, {3, 3}, 40, {1, 1}, {1, 1}},
    {"255 taps", 1, {16, 18}, 4, {15, 17}, {15, 17}},
};

/// Of an element of y.
inline std::size_t channel_of(const PoolShape& s, std::size_t y) {
  return y % static_cast<std::size_t>(s.channels);
}

/// The arithmetic of batch norm's own kernel, in its order: g++ contracts nothing here, so bits agree.
struct Norm {
  std::vector<float> mean, inverse_std, weight, bias;
  float operator()(std::size_t c, float x) const {
    return (x - mean[c]) * (inverse_std[c] * weight[c]) + bias[c];
  }
};

/// Of a window: the first of the largest, or the last NaN, as max_pool_forward has it.
inline std::size_t winner_of(const Norm& norm, std::size_t c, const Elements& x,
                             const std::vector<std::size_t>& seen) {
  std::size_t best = 0;
  for (std::size_t tap = 1; tap < seen.size(); ++tap) {
    const float value = norm(c, x[seen[tap]]);
    if (value > norm(c, x[seen[best]]) || std::isnan(value)) best = tap;
  }
  return best;
}

inline std::int64_t rows_of(const PoolShape& s) { return s.images * s.in.count(); }

inline std::vector<float> vector_of(std::int32_t channels) {
  return std::vector<float>(static_cast<std::size_t>(channels));
}

/// Integers from -`most` to `most`: with few of them there are ties.
inline Elements integers(DType dtype, std::int64_t count, int most, std::uint32_t stream) {
  auto values = uniform(count, -most, most + 1, stream);
  for (float& value : values) value = std::floor(value);
  return {dtype, values};
}

template <typename Body>
void for_each_case(Body body) {
  for (const Case& c : kCases) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(testing::Message() << c.name << (dtype == DType::float32 ? "" : " in bf16"));
      body(c.shape(dtype));
    }
  }
}

}  // namespace convoy::kernels
