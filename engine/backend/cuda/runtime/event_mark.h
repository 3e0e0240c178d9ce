// A point in a stream's work, as a CUDA event.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/checks.h"
#include "engine/core/owner.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {

class EventMark final : public TimeMark {
 public:
  /// Marks what was enqueued on `stream` until now. Throws CudaError.
  explicit EventMark(cudaStream_t stream) {
    cudaEvent_t event = nullptr;
    CONVOY_CUDA(cudaEventCreate(&event));
    event_ = Owner<cudaEvent_t, cudaEventDestroy>(event);
    CONVOY_CUDA(cudaEventRecord(event, stream));
  }

  double milliseconds_since(const TimeMark& earlier) const override {
    float milliseconds = 0.0f;
    CONVOY_CUDA(cudaEventSynchronize(event_.get()));
    CONVOY_CUDA(cudaEventElapsedTime(
        &milliseconds, own<const EventMark>("the earlier mark", earlier).event_.get(), event_.get()));
    return milliseconds;
  }

 private:
  Owner<cudaEvent_t, cudaEventDestroy> event_;
};

}  // namespace convoy::cuda
