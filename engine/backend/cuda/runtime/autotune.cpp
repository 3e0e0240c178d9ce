#include "engine/backend/cuda/runtime/autotune.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <list>

#include "engine/backend/cuda/dnn/executable.h"
#include "engine/backend/cuda/runtime/capture.h"
#include "engine/backend/cuda/runtime/event_mark.h"
#include "engine/backend/cuda/runtime/memory.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {

using dnn::Binding;
using dnn::Candidate;
using dnn::Executable;
using dnn::GraphTensor;
using dnn::OperationGraph;
using dnn::Role;

namespace {

constexpr int kRunsPerLaunch = 4;  // more than one, so that the launch itself counts for less
constexpr int kLaunches = 5;       // timed, each behind one that is not

/// Memory for everything that a graph reads or writes, zeroed, and the largest workspace of its candidates.
class Scratch {
 public:
  Scratch(const OperationGraph& graph, const std::vector<Candidate>& candidates) {
    for (const GraphTensor& tensor : graph.tensors()) {
      if (tensor.role == Role::none) continue;
      if (tensor.by_value) {
        bindings_.push_back({tensor.role, &scalars_.emplace_back(0.1f)});  // an epsilon or a momentum
      } else {
        bindings_.push_back(
            {tensor.role,
             buffers_.emplace_back(static_cast<std::size_t>(tensor.shape.count()) * bytes_of(tensor.type))
                 .data()});
      }
    }
    std::int64_t workspace = 0;
    for (const Candidate& candidate : candidates) workspace = std::max(workspace, workspace_of(candidate));
    workspace_ = Buffer(static_cast<std::size_t>(workspace));
  }

  const std::vector<Binding>& bindings() const { return bindings_; }
  void* workspace() const { return workspace_.data(); }

 private:
  std::list<Buffer> buffers_;
  std::list<float> scalars_;  // a list: bindings point into it
  std::vector<Binding> bindings_;
  Buffer workspace_;
};

}  // namespace

double milliseconds_of(const std::function<void()>& enqueue, cudaStream_t stream) {
  enqueue();  // outside of a capture: the first run loads kernels
  CONVOY_CUDA(cudaStreamSynchronize(stream));
  const CudaGraphExec runs = instantiate(capture(stream, [&] {
    for (int run = 0; run < kRunsPerLaunch; ++run) enqueue();
  }));
  std::vector<double> times;
  for (int launch = 0; launch < kLaunches; ++launch) {
    // The device still works on this one while the host marks and enqueues what is timed; and the first of
    // all pays for the graph's upload.
    CONVOY_CUDA(cudaGraphLaunch(runs.get(), stream));
    const EventMark begin(stream);
    CONVOY_CUDA(cudaGraphLaunch(runs.get(), stream));
    times.push_back(EventMark(stream).milliseconds_since(begin));
  }
  std::ranges::nth_element(times, times.begin() + kLaunches / 2);
  return times[kLaunches / 2] / kRunsPerLaunch;
}

Tuned fastest(const OperationGraph& graph, const std::vector<Candidate>& candidates,
              const dnn::Queue& queue) {
  const Scratch scratch(graph, candidates);
  const auto time = [&](const Candidate& candidate) {
    const Executable executable(candidate, queue, scratch.bindings(), scratch.workspace());
    return milliseconds_of([&] { executable.execute(); }, queue.stream);
  };

  Tuned best{.candidate = candidates.at(0)};
  for (const Candidate& candidate : candidates) {
    try {
      const double milliseconds = time(candidate);
      if (best.timed++ > 0 && milliseconds >= best.milliseconds) continue;
      best.candidate = candidate;
      best.milliseconds = milliseconds;
    } catch (const Error& error) {  // this one does not run here; another may
      cudaGetLastError();
      best.error = error.what();
    }
  }
  return best;
}

}  // namespace convoy::cuda
