// What the kernels' tests share: launches in every thread order, random data, bf16.
#pragma once

#include <cuda_bf16.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "convoy/dtype.h"
#include "engine/core/philox.h"
#include "tests/host_kernels/host_cuda/host_cuda.h"

namespace convoy {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr double kBfloat16Epsilon = 0x1p-7;  // 8 significant bits

/// The result of `run`, which must have the same bits whatever the order of threads and blocks.
template <typename Run>
auto in_every_order(Run run) {
  host_cuda::set_order(host_cuda::Order::ascending);
  const auto first = run();
  host_cuda::set_order(host_cuda::Order::descending);
  EXPECT_TRUE(run() == first) << "descending thread order";
  host_cuda::set_order(host_cuda::Order::shuffled, 7);
  EXPECT_TRUE(run() == first) << "shuffled thread order";
  host_cuda::set_order(host_cuda::Order::ascending);
  return first;
}

inline std::vector<float> uniform(std::int64_t count, double low, double high, std::uint32_t stream) {
  PhiloxSequence sequence({.seed = 42, .stream = stream});
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(sequence.uniform(low, high));
  return values;
}

/// The nearest bf16.
inline float rounded_to_bfloat16(float value) { return __bfloat162float(__float2bfloat16_rn(value)); }

/// Elements of either type, read and written as float.
class Elements {
 public:
  Elements(DType dtype, std::int64_t count)
      : dtype_(dtype), bytes_(static_cast<std::size_t>(count) * bytes_of(dtype)) {}
  Elements(DType dtype, const std::vector<float>& values)
      : Elements(dtype, static_cast<std::int64_t>(values.size())) {
    for (std::size_t i = 0; i < values.size(); ++i) set(i, values[i]);
  }

  void* data() { return bytes_.data(); }
  DType dtype() const { return dtype_; }
  std::size_t size() const { return bytes_.size() / bytes_of(dtype_); }
  float operator[](std::size_t i) const {
    if (dtype_ == DType::float32) return reinterpret_cast<const float*>(bytes_.data())[i];
    return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(bytes_.data())[i]);
  }
  void set(std::size_t i, float value) {
    if (dtype_ == DType::float32) {
      reinterpret_cast<float*>(bytes_.data())[i] = value;
    } else {
      reinterpret_cast<__nv_bfloat16*>(bytes_.data())[i] = __float2bfloat16_rn(value);
    }
  }
  /// The error of one rounding to this type, relative to the value.
  double rounding() const { return (dtype_ == DType::float32 ? kEpsilon : kBfloat16Epsilon) / 2; }
  bool operator==(const Elements&) const = default;

 private:
  DType dtype_;
  std::vector<std::byte> bytes_;  // from malloc: 16-byte aligned
};

/// `value` as that type holds it.
inline float rounded(DType dtype, float value) {
  return dtype == DType::float32 ? value : rounded_to_bfloat16(value);
}

constexpr DType kDTypes[] = {DType::float32, DType::bfloat16};

}  // namespace convoy
