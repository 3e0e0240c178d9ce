// CUDA streams, and the events that order them.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/core/owner.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {

using Event = Owner<cudaEvent_t, cudaEventDestroy>;
using Stream = Owner<cudaStream_t, cudaStreamDestroy>;

/// An event without a time. Throws CudaError.
inline Event make_event() {
  cudaEvent_t event = nullptr;
  CONVOY_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return Event(event);
}

/// A stream that waits for no other, and so not for the legacy default stream, which may not be touched while
/// a graph is captured. Throws CudaError.
inline Stream make_own_stream() {
  cudaStream_t stream = nullptr;
  CONVOY_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

}  // namespace convoy::cuda
