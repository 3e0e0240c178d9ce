// Enqueued work as a CUDA graph, instead of being enqueued.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

#include "engine/core/owner.h"

namespace convoy::cuda {

using CudaGraph = Owner<cudaGraph_t, cudaGraphDestroy>;
using CudaGraphExec = Owner<cudaGraphExec_t, cudaGraphExecDestroy>;

/// What `enqueue` puts on `stream`. Throws CudaError, or what `enqueue` throws; the capture has ended then,
/// too.
CudaGraph capture(cudaStream_t stream, const std::function<void()>& enqueue);

/// Throws CudaError.
CudaGraphExec instantiate(const CudaGraph& graph);

}  // namespace convoy::cuda
