// What a training step keeps about itself on the device: loss and hits, its number and its scalars.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "engine/core/step_scalars.h"

namespace convoy::kernels {

/// In device memory; the host copies it out when a value is printed. All zero at the beginning.
struct LossMetrics {
  double loss_sum;   // over samples
  double last_loss;  // of the last batch, over what its mean divides by
  std::int64_t correct;
  std::int64_t samples;
  unsigned arrived;  // blocks of the running launch; 0 between launches
};

/// Whether this build has code for the current GPU: cudaSuccess, or why it cannot be loaded, as it would be
/// said of the first launch. Takes the GPU into use.
cudaError_t kernels_fit_this_gpu();

/// Enqueues metrics = 0. Throws CudaError.
void reset_metrics(LossMetrics* metrics, cudaStream_t stream);

/// Enqueues the next step: adds 1 to scalars->step and makes the other scalars by `table`. Both are on the
/// device. Throws CudaError.
void advance_step(StepScalars* scalars, const StepTable* table, cudaStream_t stream);

}  // namespace convoy::kernels
