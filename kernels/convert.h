// From one storage to another: fp32 and bf16, NCHW and NHWC. All tensors are on the device and 16-byte
// aligned (8 for bf16 in a cast); an empty tensor enqueues nothing. Every function throws CudaError.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "kernels/element.h"

struct __nv_bfloat16;  // <cuda_bf16.h>

namespace convoy::kernels {

/// Rounds to nearest, ties to even.
void cast(const float* in, __nv_bfloat16* out, std::int64_t count, cudaStream_t stream);
/// Exact.
void cast(const __nv_bfloat16* in, float* out, std::int64_t count, cudaStream_t stream);

/// Images [N, C, H W] and [N, H W, C]; or weights, whose output channels are the N. `out` must not be `in`.
struct Permutation {
  const void* in = nullptr;
  void* out = nullptr;
  Element element = Element::float32;
  std::int64_t images = 0;
  std::int64_t channels = 0;
  std::int64_t plane = 0;  // H W
};

void nchw_to_nhwc(const Permutation& permutation, cudaStream_t stream);
void nhwc_to_nchw(const Permutation& permutation, cudaStream_t stream);

}  // namespace convoy::kernels
