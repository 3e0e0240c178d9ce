#include "engine/backend/cuda/runtime/recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

// Of one of the `repeats` sequences in it.
CudaGraphSize size_of(cudaGraph_t graph, std::int64_t repeats) {
  std::size_t count = 0;
  CONVOY_CUDA(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  CONVOY_CUDA(cudaGraphGetNodes(graph, nodes.data(), &count));
  CudaGraphSize size{.nodes = static_cast<std::int64_t>(count)};
  for (cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    CONVOY_CUDA(cudaGraphNodeGetType(node, &type));
    if (type == cudaGraphNodeTypeKernel) ++size.kernels;
  }
  return {size.nodes / repeats, size.kernels / repeats};
}

}  // namespace

Recording::Recording(Context& context, std::function<void()> sequence)
    : context_(context), sequence_(std::move(sequence)), plain_(!context.options().use_cuda_graphs) {}

CudaGraphExec Recording::capture_repeats(std::int64_t repeats) {
  const CudaGraph graph = capture(context_.stream(), [&] {
    for (std::int64_t i = 0; i < repeats; ++i) sequence_();
  });
  CudaGraphExec exec = instantiate(graph);
  if (!size_) size_ = size_of(graph.get(), repeats);
  return exec;
}

cudaGraphExec_t Recording::cuda_graph_of(std::int64_t repeats) {
  const auto known = cuda_graphs_.find(repeats);
  if (known != cuda_graphs_.end()) return known->second.get();
  try {
    return cuda_graphs_.emplace(repeats, capture_repeats(repeats)).first->second.get();
  } catch (const Error& error) {
    plain_ = true;
    const auto& say = context_.options().say;
    if (say)
      say(fmt::format("no CUDA graph, steps run one launch at a time: {}", error.what()), Remedy::none);
    return nullptr;
  }
}

void Recording::run(std::int64_t times) {
  while (times > 0) {
    cudaGraphExec_t graph = nullptr;
    std::int64_t repeats = 1;
    if (warm_ && !plain_) {
      const std::int64_t many = context_.options().steps_per_launch;
      if (times >= many) repeats = many;
      graph = cuda_graph_of(repeats);
    }
    if (graph) {
      CONVOY_CUDA(cudaGraphLaunch(graph, context_.stream()));
    } else {
      repeats = 1;
      sequence_();
      warm_ = true;
    }
    times -= repeats;
  }
}

std::unique_ptr<Replay> CudaBackend::record(std::function<void()> sequence) {
  return std::make_unique<Recording>(context_, std::move(sequence));
}

}  // namespace convoy::cuda
