// Reductions within a warp, a block and a grid, all in a fixed order: the same input gives the same bits. For
// .cu files only.
#pragma once

#include <cuda_runtime.h>

#include "kernels/shared_array.h"

namespace convoy::kernels {

constexpr unsigned kWarpLanes = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

struct Sum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

/// The partner's value, `lanes` (a power of two) away. Other types overload it next to their definition.
__device__ inline float exchange(float value, int lanes) { return __shfl_xor_sync(kAllLanes, value, lanes); }
__device__ inline double exchange(double value, int lanes) {
  return __shfl_xor_sync(kAllLanes, value, lanes);
}
__device__ inline int exchange(int value, int lanes) { return __shfl_xor_sync(kAllLanes, value, lanes); }

/// Every lane gets the result. `combine` is commutative, so that all get the same bits; the warp is full.
template <typename T, typename Combine>
__device__ T warp_reduce(T value, Combine combine) {
  for (int lanes = kWarpLanes / 2; lanes > 0; lanes /= 2) value = combine(value, exchange(value, lanes));
  return value;
}

/// Every thread of the (one-dimensional, whole warps) block gets the result.
template <typename T, typename Combine>
__device__ T block_reduce(T value, T identity, Combine combine) {
  SHARED_ARRAY(T, partial, kWarpLanes);
  const unsigned lane = threadIdx.x % kWarpLanes;
  value = warp_reduce(value, combine);
  __syncthreads();  // the partials of an earlier call have been read
  if (lane == 0) partial[threadIdx.x / kWarpLanes] = value;
  __syncthreads();
  return warp_reduce(lane < blockDim.x / kWarpLanes ? partial[lane] : identity, combine);
}

/// True in every thread of that block of `blocks` which is the last to arrive: it sees what the others wrote
/// before they arrived. `arrived` is 0 before the first launch and is left at 0 by each.
__device__ inline bool is_last_block(unsigned* arrived, unsigned blocks) {
  SHARED_ARRAY(unsigned, ticket, 1);
  __syncthreads();         // the block has written everything
  if (threadIdx.x == 0) {  // the barriers extend what its fences order to the whole block
    __threadfence();
    ticket[0] = atomicInc(arrived, blocks - 1);  // wraps to 0 with the last block
    __threadfence();
  }
  __syncthreads();
  return ticket[0] == blocks - 1;
}

}  // namespace convoy::kernels
