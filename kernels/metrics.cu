#include "kernels/metrics.h"

#include "kernels/launch.h"
#include "kernels/schedule_math.h"

namespace convoy::kernels {

__global__ void reset_metrics_kernel(LossMetrics* metrics) { *metrics = LossMetrics{}; }

__global__ void advance_step_kernel(StepScalars* scalars, const StepTable* table) {
  *scalars = step_scalars(*table, scalars->step + 1);
}

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

void advance_step(StepScalars* scalars, const StepTable* table, cudaStream_t stream) {
  launch(advance_step_kernel, {}, stream, scalars, table);
}

}  // namespace convoy::kernels
