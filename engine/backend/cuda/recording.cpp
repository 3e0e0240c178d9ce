#include "engine/backend/cuda/recording.h"

#include <fmt/format.h>

#include "engine/core/error.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {

Recording::Recording(Context& context, std::function<void()> sequence)
    : context_(context),
      sequence_(std::move(sequence)),
      state_(context.options().use_graphs ? State::fresh : State::plain) {}

Recording::GraphExec Recording::capture() {
  const cudaStream_t stream = context_.stream();
  context_.workspace();  // what was reserved since the first run is allocated now, not in the capture
  cudaGraph_t raw = nullptr;
  CONVOY_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    sequence_();
  } catch (...) {
    cudaStreamEndCapture(stream, &raw);  // leaves capture mode; what was captured is of no use
    if (raw) cudaGraphDestroy(raw);
    cudaGetLastError();
    throw;
  }
  CONVOY_CUDA(cudaStreamEndCapture(stream, &raw));
  const Owner<cudaGraph_t, cudaGraphDestroy> graph(raw);
  cudaGraphExec_t exec = nullptr;
  CONVOY_CUDA(cudaGraphInstantiate(&exec, graph.get(), 0));
  return GraphExec(exec);
}

void Recording::operator()() {
  switch (state_) {
    case State::fresh:
      sequence_();
      state_ = State::warm;
      return;
    case State::warm:
      try {
        graph_ = capture();
        state_ = State::graph;
      } catch (const Error& error) {
        state_ = State::plain;
        const auto& say = context_.options().say;
        if (say) say(fmt::format("no CUDA graph, steps run one launch at a time: {}", error.what()));
      }
      return (*this)();
    case State::graph:
      CONVOY_CUDA(cudaGraphLaunch(graph_.get(), context_.stream()));
      return;
    case State::plain:
      sequence_();
      return;
  }
}

}  // namespace convoy::cuda
