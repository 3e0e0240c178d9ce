// Enqueued work as a CUDA graph, instead of being enqueued.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

#include "engine/core/owner.h"

namespace convoy::cuda {

using CapturedGraph = Owner<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Owner<cudaGraphExec_t, cudaGraphExecDestroy>;

/// What `enqueue` puts on `stream`. Throws CudaError, or what `enqueue` throws; the capture has ended then,
/// too.
CapturedGraph capture(cudaStream_t stream, const std::function<void()>& enqueue);

/// Throws CudaError.
GraphExec instantiate(const CapturedGraph& graph);

}  // namespace convoy::cuda
