// Reductions over the rows of a [rows, channels] tensor: how threads and blocks share it. For .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/column_tiling.h"
#include "kernels/reduce.h"
#include "kernels/shared_array.h"

namespace convoy::kernels {

/// This thread's place in the tiling.
struct ColumnPlace {
  unsigned lane;  // among the threads of the channel
  unsigned lanes;
  std::int32_t channel;
  bool active;  // the channel exists

  __device__ explicit ColumnPlace(const ColumnTiling& tiling)
      : lane(threadIdx.x / tiling.width),
        lanes(kColumnThreads / tiling.width),
        channel(static_cast<std::int32_t>(blockIdx.x * tiling.width + threadIdx.x % tiling.width)),
        active(channel < tiling.channels) {}
};

/// Calls body(element offset) for this thread's rows of the slab blockIdx.y, in ascending order.
template <typename Body>
__device__ void for_each_row(const ColumnTiling& tiling, const ColumnPlace& place, Body body) {
  if (!place.active) return;
  const std::int64_t begin = blockIdx.y * tiling.slab_rows;
  const std::int64_t end = begin + tiling.slab_rows < tiling.rows ? begin + tiling.slab_rows : tiling.rows;
  for (std::int64_t row = begin + place.lane; row < end; row += place.lanes) {
    body(row * tiling.channels + place.channel);
  }
}

/// Combines the values of a channel's threads by a fixed tree; lane 0 gets the result.
template <typename T, typename Combine>
__device__ T reduce_lanes(const ColumnTiling& tiling, const ColumnPlace& place, T value, Combine combine) {
  SHARED_ARRAY(T, values, kColumnThreads);
  __syncthreads();  // an earlier call's values have been read
  values[threadIdx.x] = value;
  for (unsigned half = place.lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (place.lane < half) {
      values[threadIdx.x] = combine(values[threadIdx.x], values[threadIdx.x + half * tiling.width]);
    }
  }
  return values[threadIdx.x];
}

/// The sums of whole columns, from those of this thread's rows: each block leaves its partial result in the
/// scratch, and the last block of a tile combines them. True where `value` has become the result: in lane 0
/// of the last block.
template <typename T, typename Combine>
__device__ bool reduce_columns(const ColumnTiling& tiling, const ColumnScratch& scratch, T& value, T identity,
                               Combine combine) {
  static_assert(sizeof(T) <= kColumnPartialBytes);
  const ColumnPlace place(tiling);
  value = reduce_lanes(tiling, place, value, combine);
  T* partials = static_cast<T*>(scratch.partials);
  const bool writer = place.active && place.lane == 0;
  if (writer) partials[std::int64_t{blockIdx.y} * tiling.channels + place.channel] = value;
  if (!is_last_block(&scratch.arrived[blockIdx.x], tiling.slabs)) return false;

  value = identity;
  if (place.active) {
    for (unsigned slab = place.lane; slab < tiling.slabs; slab += place.lanes) {
      value = combine(value, partials[std::int64_t{slab} * tiling.channels + place.channel]);
    }
  }
  value = reduce_lanes(tiling, place, value, combine);
  return writer;
}

}  // namespace convoy::kernels
