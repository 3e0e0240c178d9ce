#include "engine/backend/cuda/runtime/capture.h"

#include "kernels/cuda_error.h"

namespace convoy::cuda {

CudaGraph capture(cudaStream_t stream, const std::function<void()>& enqueue) {
  cudaGraph_t raw = nullptr;
  // Of this thread alone: others may be planning, and call what a capture forbids.
  CONVOY_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    enqueue();
  } catch (...) {
    cudaStreamEndCapture(stream, &raw);  // leaves capture mode; what was captured is of no use
    if (raw) cudaGraphDestroy(raw);
    cudaGetLastError();
    throw;
  }
  CONVOY_CUDA(cudaStreamEndCapture(stream, &raw));
  return CudaGraph(raw);
}

CudaGraphExec instantiate(const CudaGraph& graph) {
  cudaGraphExec_t exec = nullptr;
  CONVOY_CUDA(cudaGraphInstantiate(&exec, graph.get(), 0));
  return CudaGraphExec(exec);
}

}  // namespace convoy::cuda
