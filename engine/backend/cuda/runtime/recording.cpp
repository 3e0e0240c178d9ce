#include "engine/backend/cuda/runtime/recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/backend/cuda/cuda_backend.h"
#include "engine/core/error.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

// Of one of the `repeats` sequences in it.
RecordedGraph count_nodes(cudaGraph_t graph, std::int64_t repeats) {
  std::size_t count = 0;
  CONVOY_CUDA(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  CONVOY_CUDA(cudaGraphGetNodes(graph, nodes.data(), &count));
  RecordedGraph counted{.nodes = static_cast<std::int64_t>(count)};
  for (cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    CONVOY_CUDA(cudaGraphNodeGetType(node, &type));
    if (type == cudaGraphNodeTypeKernel) ++counted.kernels;
  }
  return {counted.nodes / repeats, counted.kernels / repeats};
}

}  // namespace

Recording::Recording(Context& context, std::function<void()> sequence)
    : context_(context), sequence_(std::move(sequence)), plain_(!context.options().use_graphs) {}

GraphExec Recording::record(std::int64_t repeats) {
  context_.workspace();  // what was reserved since the first run is allocated now, not in the capture
  const CapturedGraph graph = capture(context_.stream(), [&] {
    for (std::int64_t i = 0; i < repeats; ++i) sequence_();
  });
  GraphExec exec = instantiate(graph);
  if (!recorded_) recorded_ = count_nodes(graph.get(), repeats);
  return exec;
}

cudaGraphExec_t Recording::graph_of(std::int64_t repeats) {
  const auto known = graphs_.find(repeats);
  if (known != graphs_.end()) return known->second.get();
  try {
    return graphs_.emplace(repeats, record(repeats)).first->second.get();
  } catch (const Error& error) {
    plain_ = true;
    const auto& say = context_.options().say;
    if (say) say(fmt::format("no CUDA graph, steps run one launch at a time: {}", error.what()));
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
      graph = graph_of(repeats);
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
