#include "kernels/metrics.h"

#include "kernels/launch.h"

namespace convoy::kernels {

__global__ void reset_metrics_kernel(LossMetrics* metrics) { *metrics = LossMetrics{}; }

__global__ void increment_step_kernel(std::int64_t* step) { ++*step; }

cudaError_t kernels_fit_this_gpu() {
  cudaFuncAttributes attributes{};
  const auto* function = reinterpret_cast<const void*>(&reset_metrics_kernel);
  const cudaError_t status = cudaFuncGetAttributes(&attributes, function);
  cudaGetLastError();  // not sticky
  return status;
}

void reset_metrics(LossMetrics* metrics, cudaStream_t stream) {
  launch(reset_metrics_kernel, {}, stream, metrics);
}

void increment_step(std::int64_t* step, cudaStream_t stream) {
  launch(increment_step_kernel, {}, stream, step);
}

}  // namespace convoy::kernels
