// Elements in packs of up to 16 bytes, one memory access each, and their arithmetic in fp32. For .cu files
// only.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <utility>

#include "convoy/dtype.h"
#include "engine/core/host_device.h"
#include "kernels/launch.h"

namespace convoy::kernels {

constexpr std::size_t kPackBytes = 16;
constexpr int kMapThreads = 256;
constexpr int kMapBlocks = 4;  // on a multiprocessor: leaves 64 registers a thread

template <typename T, int kCount = static_cast<int>(kPackBytes / sizeof(T))>
struct alignas(sizeof(T) * kCount) Pack {
  T value[kCount];
};

HOST_DEVICE inline float to_float(float value) { return value; }
HOST_DEVICE inline float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }

template <typename T>
HOST_DEVICE T from_float(float value);
template <>
HOST_DEVICE inline float from_float<float>(float value) {
  return value;
}
template <>
HOST_DEVICE inline __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}

/// Calls `body` with a zero of the C++ type that activations of `dtype` have. Throws Error for integers.
template <typename Body>
void with_dtype(DType dtype, Body body) {
  if (dtype == DType::float32) return body(float{});
  if (dtype == DType::bfloat16) return body(__nv_bfloat16{});
  throw Error("a kernel for real numbers was given integers");
}

/// Elements that one thread maps: 16 bytes of the wider of the two types.
template <typename In, typename Out>
HOST_DEVICE constexpr int map_lanes() {
  return static_cast<int>(kPackBytes / (sizeof(In) > sizeof(Out) ? sizeof(In) : sizeof(Out)));
}

/// Blocks for a map_packs over `count` elements.
template <typename In, typename Out = In>
LaunchShape map_shape(std::int64_t count, std::source_location where = std::source_location::current()) {
  return {.blocks = blocks_for(count, kMapThreads * map_lanes<In, Out>()),
          .threads = kMapThreads,
          .where = where};
}

/// Calls body(0), ... body(kCount - 1), each compiled by itself: an array that they index stays in registers.
template <int kCount, typename Body>
__device__ void for_each_lane(Body body) {
  [&]<int... kLane>(std::integer_sequence<int, kLane...>) { (body(kLane), ...); }
  (std::make_integer_sequence<int, kCount>{});
}

__device__ inline std::int64_t global_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// `from` is taken by value: a copy of a whole pack is one load, while of a reference each lane is loaded by
// itself.
template <int kLanes, typename Out, typename Map, typename... Packs>
__device__ Pack<Out, kLanes> mapped(std::int64_t begin, Map map, Packs... from) {
  Pack<Out, kLanes> to;
  for (int lane = 0; lane < kLanes; ++lane) {
    to.value[lane] = from_float<Out>(map(begin + lane, to_float(from.value[lane])...));
  }
  return to;
}

/// out[i] = map(i, in[i]...) for this thread's pack, in ascending order. Pointers are aligned to their pack;
/// `out` may be an input.
template <typename Out, typename Map, typename In, typename... More>
__device__ void map_packs(Out* out, std::int64_t count, Map map, const In* in, const More*... more) {
  constexpr int kLanes = map_lanes<In, Out>();
  const std::int64_t pack = global_thread();
  const std::int64_t begin = pack * kLanes;
  if (begin + kLanes <= count) {
    reinterpret_cast<Pack<Out, kLanes>*>(out)[pack] =
        mapped<kLanes, Out>(begin, map, reinterpret_cast<const Pack<In, kLanes>*>(in)[pack],
                            reinterpret_cast<const Pack<More, kLanes>*>(more)[pack]...);
    return;
  }
  for (std::int64_t i = begin; i < count; ++i)
    out[i] = from_float<Out>(map(i, to_float(in[i]), to_float(more[i])...));
}

/// The channel of an element of NHWC memory. A GPU divides 64 bits in many more instructions than 32, so only
/// elements beyond the first 2^32 pay for that.
HOST_DEVICE inline unsigned channel_of(std::int64_t element, unsigned channels) {
  const auto low = static_cast<std::uint32_t>(element);
  return low == element ? low % channels : static_cast<unsigned>(element % channels);
}

/// The channels of the elements of this thread's pack, in NHWC: one division for all of them.
template <typename T>
struct PackChannels {
  std::int64_t begin;
  unsigned first;
  unsigned channels;

  __device__ explicit PackChannels(std::int32_t count)
      : begin(global_thread() * map_lanes<T, T>()),
        first(channel_of(begin, static_cast<unsigned>(count))),
        channels(static_cast<unsigned>(count)) {}
  __device__ unsigned operator()(std::int64_t i) const {
    unsigned channel = first + static_cast<unsigned>(i - begin);
    while (channel >= channels) channel -= channels;  // at most once, but for fewer channels than lanes
    return channel;
  }
};

}  // namespace convoy::kernels
