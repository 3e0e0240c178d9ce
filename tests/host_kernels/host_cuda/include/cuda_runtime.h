// Stands in for the toolkit's <cuda_runtime.h> when g++ compiles a .cu file: the language extensions that
// nvcc brings, as functions and macros. Types and declarations come from the toolkit's own plain C++ headers.
#pragma once

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/host_kernels/host_cuda/host_cuda.h"

#undef __global__
#define __global__ [[gnu::noinline]]
#undef __launch_bounds__
#define __launch_bounds__(...)

// kernels/shared_array.h leaves this to whoever defined it first.
#define SHARED_ARRAY(T, name, count) \
  static char name##_key;            \
  T(&name)[count] = *static_cast<T(*)[count]>(::host_cuda::shared_array(&name##_key, sizeof(T) * (count)))

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

inline void __syncthreads(std::source_location site = std::source_location::current()) {
  ::host_cuda::block_barrier(site);
}

inline void __syncwarp(unsigned mask = ~0u, std::source_location site = std::source_location::current()) {
  ::host_cuda::warp_operation(::host_cuda::WarpOperation::synchronise, mask, 0, 0, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location site = std::source_location::current()) {
  return static_cast<unsigned>(
      ::host_cuda::warp_operation(::host_cuda::WarpOperation::ballot, mask, predicate != 0, 0, site));
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize,
                  std::source_location site = std::source_location::current()) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  const auto own = static_cast<int>(::host_cuda::lane());
  const int partner = own ^ lanes;
  const bool outside = partner > (own | (width - 1));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = ::host_cuda::warp_operation(::host_cuda::WarpOperation::shuffle, mask, bits,
                                     static_cast<unsigned>(outside ? own : partner), site);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline void __threadfence() { ::host_cuda::fence(); }

namespace host_cuda {

template <typename T, typename Update>
T read_modify_write(T* address, Update update) {
  before_atomic(address);
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (
      !__atomic_compare_exchange_n(address, &old, update(old), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  after_atomic(address);
  return old;
}

}  // namespace host_cuda

template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return ::host_cuda::read_modify_write(address, [=](T old) { return static_cast<T>(old + value); });
}

inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return ::host_cuda::read_modify_write(address, [=](unsigned old) { return old >= limit ? 0u : old + 1u; });
}

template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> desired) {
  return ::host_cuda::read_modify_write(address, [=](T old) { return old == expected ? desired : old; });
}

/// The launch that nvcc's header declares; the stream is ignored, because a launch returns when it has run.
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (config->dynamicSmemBytes != 0) return cudaErrorInvalidConfiguration;  // SHARED_ARRAY is all there is
  const std::tuple<Parameters...> bound(std::forward<Arguments>(arguments)...);
  const bool accepted =
      ::host_cuda::run([&] { std::apply(kernel, bound); }, {config->gridDim, config->blockDim});
  return accepted ? cudaSuccess : cudaErrorInvalidConfiguration;
}
