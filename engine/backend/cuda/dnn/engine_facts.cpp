#include "engine/backend/cuda/dnn/engine_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace convoy::cuda::dnn {
namespace {

bool is_convolution(const Node& node) {
  return node.op == Operator::convolve || node.op == Operator::convolve_backward_data ||
         node.op == Operator::convolve_backward_weight;
}

std::optional<Node> convolution_of(const OperationGraph& graph) {
  const auto found = std::ranges::find_if(graph.nodes(), is_convolution);
  return found == graph.nodes().end() ? std::nullopt : std::optional(*found);
}

std::vector<Value> operands_of(const Node& convolution) {
  return {convolution.inputs[0], convolution.inputs[1], convolution.outputs[0]};
}

// Bytes of a number in each operand: an output that a bias is added to is fp32 in the graph, but not in
// memory.
std::int64_t element_of(const OperationGraph& graph, const Node& convolution) {
  return static_cast<std::int64_t>(bytes_of(graph.tensors().at(convolution.inputs[0].index).type));
}

bool is_batch_norm(const Node& node) {
  return node.op == Operator::batch_norm_training || node.op == Operator::batch_norm_backward;
}

// The weight of a convolution, or its gradient.
Value weight_of(const Node& node) {
  return node.op == Operator::convolve_backward_weight ? node.outputs[0] : node.inputs[1];
}

bool has_groups(const OperationGraph& graph, const Node& node) {
  const Value x = node.op == Operator::convolve_backward_data ? node.outputs[0] : node.inputs[0];
  const auto channels = [&](Value value) { return graph.tensors().at(value.index).shape[1]; };
  return channels(x) != channels(weight_of(node));
}

// Bytes that an engine loads at once, and that workspaces are rounded to.
constexpr std::int64_t kVector = 16;

struct Copies {
  std::int64_t count = 0;
  std::int64_t bytes = 0;

  void add(std::int64_t tensor) {
    ++count;
    bytes += tensor;
  }
  /// Whether they and no more than `rest` besides make up a workspace.
  bool fit(std::int64_t workspace, std::int64_t rest) const {
    return count > 0 && workspace >= bytes && workspace <= bytes + kVector + rest;
  }
};

}  // namespace

bool is_naive(const OperationGraph& graph, std::int64_t engine) {
  // Convolution{Forward,BackwardData,BackwardFilter}GroupedDirect, with bias and ReLU, too: read from 9.13
  // and 9.19, and assumed of the versions around them.
  constexpr std::int64_t kGroupedDirect = 0;
  const auto convolution = convolution_of(graph);
  return convolution && !has_groups(graph, *convolution) && engine == kGroupedDirect;
}

bool is_winograd(const OperationGraph& graph, std::int64_t engine) {
  constexpr std::int64_t kWeightGradient = 17;
  const auto convolution = convolution_of(graph);
  return convolution && convolution->op == Operator::convolve_backward_weight && engine == kWeightGradient;
}

std::int64_t transposed_tensors(const OperationGraph& graph, std::int64_t workspace) {
  const auto convolution = convolution_of(graph);
  if (!convolution) return 0;
  const Value weight = weight_of(*convolution);
  std::vector<std::int64_t> tensors;  // in bytes
  for (const Value operand : operands_of(*convolution)) {
    const Shape& shape = graph.tensors().at(operand.index).shape;
    // Activations of one channel or one pixel are the same in both orders; cuDNN copies such weights, too.
    const bool differs = shape[1] > 1 && shape[2] * shape[3] > 1;
    if (differs || operand.index == weight.index) {
      tensors.push_back(shape.count() * element_of(graph, *convolution));
    }
  }
  // An engine may keep 32-bit offsets beside its copies, and a few kilobytes more (3456 and 4736 were seen).
  // Of small tensors anything might be the sum: there it must be exact.
  const Shape& window = graph.tensors().at(weight.index).shape;
  const std::int64_t table = 4 * std::max(window[0], window[1]) * window[2] * window[3] + 8192;
  std::int64_t most = 0;
  for (std::size_t chosen = 1; chosen < std::size_t{1} << tensors.size(); ++chosen) {
    Copies copies;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (chosen >> i & 1) copies.add(tensors[i]);
    }
    if (copies.fit(workspace, std::min(table, copies.bytes / 8))) most = std::max(most, copies.count);
  }
  return most;
}

std::int64_t padded_tensors(const OperationGraph& graph, std::int64_t workspace) {
  const auto convolution = convolution_of(graph);
  if (!convolution) return 0;
  const std::int64_t element = element_of(graph, *convolution);
  const std::int64_t lanes = kVector / element;
  Copies copies;
  for (const Value operand : operands_of(*convolution)) {
    const Shape& shape = graph.tensors().at(operand.index).shape;
    const std::int64_t channels = (shape[1] + lanes - 1) / lanes * lanes;
    if (channels != shape[1]) copies.add(shape.count() / shape[1] * channels * element);
  }
  return copies.fit(workspace, 0) ? copies.count : 0;
}

std::int64_t launches_of(const OperationGraph& graph, std::int64_t workspace, const std::string& json) {
  const auto text = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const auto kernels = nlohmann::json::json_pointer("/engine/payload/kernels");
  if (!text.is_object() || !text.contains(kernels)) {
    // A workspace that no copies explain holds what another kernel writes or reads: offsets, partial sums.
    const std::int64_t copies =
        std::max(transposed_tensors(graph, workspace), padded_tensors(graph, workspace));
    return 1 + (copies > 0 ? copies : workspace > 0 ? 1 : 0);
  }
  const auto listed = static_cast<std::int64_t>(text.at(kernels).size());
  // A batch norm's grid waits at a barrier in the workspace, which a cudaMemsetAsync clears.
  const bool clears = workspace > 0 && std::ranges::any_of(graph.nodes(), is_batch_norm);
  return listed + (clears ? 1 : 0);
}

}  // namespace convoy::cuda::dnn
