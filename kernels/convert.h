// From bf16 to fp32: cuDNN writes a weight's gradient as it reads the weight, the optimizer wants it in fp32.
#pragma once

#include <driver_types.h>

#include <cstdint>

struct __nv_bfloat16;  // <cuda_bf16.h>

namespace convoy::kernels {

/// Enqueues out[i] = in[i], which is exact. Both are on the device, `in` aligned to 8 and `out` to 16 bytes;
/// an empty tensor enqueues nothing. Throws CudaError.
void cast(const __nv_bfloat16* in, float* out, std::int64_t count, cudaStream_t stream);

}  // namespace convoy::kernels
