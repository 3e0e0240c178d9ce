// What the kernels of pooling.h and batch_norm_pool.h share: a thread has neighbouring channels of a pixel.
// For .cu files only.
#pragma once

#include <cstdint>
#include <limits>
#include <source_location>
#include <type_traits>

#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/pooling.h"

namespace convoy::kernels {

constexpr int kPoolThreads = 256;
constexpr float kBelowAll = -std::numeric_limits<float>::infinity();

/// A GPU divides 64 bits in many more instructions than 32, so only numbers beyond the first 2^32 pay for
/// that.
__device__ inline std::int64_t quotient(std::int64_t value, std::int32_t by) {
  const auto low = static_cast<std::uint32_t>(value);
  return low == value ? low / static_cast<std::uint32_t>(by) : value / by;
}

/// What a thread works on: kLanes neighbouring channels of a pixel.
template <int kLanes>
struct PixelPack {
  std::int64_t element;  // the first, in its tensor
  std::int64_t image;
  std::int32_t row;
  std::int32_t column;
  std::int32_t channel;

  __device__ PixelPack(const Extents& plane, std::int32_t channels) : element(global_thread() * kLanes) {
    const std::int64_t pixel = quotient(element, channels);
    const std::int64_t line = quotient(pixel, plane.width);
    image = quotient(line, plane.height);
    channel = static_cast<std::int32_t>(element - pixel * channels);
    column = static_cast<std::int32_t>(pixel - line * plane.width);
    row = static_cast<std::int32_t>(line - image * plane.height);
  }
  /// The element of the same channel in a tensor of that plane.
  __device__ std::int64_t at(const Extents& plane, std::int32_t channels, std::int32_t r,
                             std::int32_t c) const {
    return ((image * plane.height + r) * plane.width + c) * channels + channel;
  }
};

template <int kLanes, typename T>
__device__ const Pack<T, kLanes>& pack_at(const T* from, std::int64_t element) {
  return *reinterpret_cast<const Pack<T, kLanes>*>(from + element);
}

template <typename T, int kLanes>
__device__ void write_pack(void* to, std::int64_t element, const float (&value)[kLanes]) {
  Pack<T, kLanes> pack;
  for (int lane = 0; lane < kLanes; ++lane) pack.value[lane] = from_float<T>(value[lane]);
  *reinterpret_cast<Pack<T, kLanes>*>(static_cast<T*>(to) + element) = pack;
}

/// Calls body(zero of the type, its lanes): as many channels at once as fit into 16 bytes, or one.
template <typename Body>
void with_packs(const PoolShape& shape, Body body) {
  with_dtype(shape.dtype, [&](auto zero) {
    constexpr int kLanes = map_lanes<decltype(zero), decltype(zero)>();
    if (shape.channels % kLanes == 0) return body(zero, std::integral_constant<int, kLanes>{});
    body(zero, std::integral_constant<int, 1>{});
  });
}

inline LaunchShape pool_shape(std::int64_t count, int lanes,
                              std::source_location where = std::source_location::current()) {
  return {.blocks = blocks_for(count, kPoolThreads * lanes), .threads = kPoolThreads, .where = where};
}

}  // namespace convoy::kernels
