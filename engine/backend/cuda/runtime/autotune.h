// Which of several candidates is the fastest: the device is asked, not the heuristics.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "engine/backend/cuda/dnn/executable.h"

namespace convoy::cuda {

/// How long what `enqueue` puts on the stream takes there: the median of several times, in which it runs in
/// CUDA graphs, because that is how a step runs it. It waits: not to be called while the stream is captured.
/// Throws CudaError or what `enqueue` throws; what cannot be captured throws.
double milliseconds_of(const std::function<void()>& enqueue, cudaStream_t stream);

/// The fastest of some candidates.
struct Tuned {
  dnn::Candidate candidate;
  double milliseconds = 0.0;  // of one execution, the median of several
  std::size_t timed = 0;      // candidates that could be executed; 0: `candidate` is the first that was given
  std::string error;          // why the last one that failed did so
};

/// Executes each of `candidates` (one at least) for `graph` on the queue's GPU and stream. The memory for it
/// is its own, never live tensors, and freed again. Of equals the first wins. It waits and allocates: not to
/// be called while the stream is captured. Throws CudaError, or Error if the scratch memory does not fit.
Tuned fastest(const dnn::OperationGraph& graph, const std::vector<dnn::Candidate>& candidates,
              const dnn::Queue& queue);

}  // namespace convoy::cuda
