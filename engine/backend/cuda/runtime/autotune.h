// Which of several plans is the fastest: the device is asked, not the heuristics.
#pragma once

#include <cudnn.h>

#include <cstddef>
#include <string>
#include <vector>

#include "engine/backend/cuda/dnn/planner.h"

namespace convoy::cuda {

/// The fastest of some plans.
struct Tuned {
  dnn::LoadedPlan plan;
  double milliseconds = 0.0;  // of one execution, the median of several
  std::size_t timed = 0;      // plans that could be executed; 0: `plan` is the first that was given
  std::string error;          // why the last one that failed did so
};

/// Executes each of `plans` (one at least) of `graph` on the handle's GPU and `stream`, which is the
/// handle's. The memory for it is its own, never live tensors, and freed again. What is timed is several
/// executions in a CUDA graph, because that is how a step runs them; so a plan that cannot be captured is
/// none of the fastest. Of equals the first wins. It waits and allocates: not to be called while the stream
/// is captured. Throws CudaError, or Error if the scratch memory does not fit.
Tuned fastest_plan(const dnn::OperationGraph& graph, const std::vector<dnn::LoadedPlan>& plans,
                   cudnnHandle_t handle, cudaStream_t stream);

}  // namespace convoy::cuda
