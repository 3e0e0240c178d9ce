#include "engine/backend/cuda/dnn/engine_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace convoy::cuda::dnn {
namespace {

bool is_convolution(const Node& node) {
  return node.op == Operator::convolve || node.op == Operator::convolve_backward_data ||
         node.op == Operator::convolve_backward_weight;
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
  bool fit(std::int64_t workspace) const {
    return count > 0 && workspace >= bytes && workspace <= bytes + kVector;
  }
};

}  // namespace

bool is_naive(const OperationGraph& graph, std::int64_t engine) {
  // Convolution{Forward,BackwardData,BackwardFilter}GroupedDirect of 9.13 and 9.19, with bias and ReLU, too.
  constexpr std::int64_t kGroupedDirect = 0;
  const auto convolution = std::ranges::find_if(graph.nodes(), is_convolution);
  return convolution != graph.nodes().end() && !has_groups(graph, *convolution) && engine == kGroupedDirect;
}

std::int64_t tensor_copies(const OperationGraph& graph, std::int64_t workspace) {
  const auto convolution = std::ranges::find_if(graph.nodes(), is_convolution);
  if (convolution == graph.nodes().end()) return 0;
  std::vector<Value> operands = convolution->inputs;
  operands.push_back(convolution->outputs[0]);
  // Of all three tensors: an output that a bias is added to has the type of its kernel's sum in the graph.
  const auto element =
      static_cast<std::int64_t>(bytes_of(graph.tensors().at(convolution->inputs[0].index).type));
  Copies transposed, padded;
  for (const Value operand : operands) {
    const GraphTensor& tensor = graph.tensors().at(operand.index);
    const Shape& shape = tensor.shape;
    const std::int64_t bytes = shape.count() * element;
    const bool weight = operand.index == weight_of(*convolution).index;
    // Activations of one channel or one pixel are the same in both orders; cuDNN copies such weights, too.
    if (weight || (shape[1] > 1 && shape[2] * shape[3] > 1)) transposed.add(bytes);
    const std::int64_t channels =
        (shape[1] + kVector / element - 1) / (kVector / element) * (kVector / element);
    if (channels != shape[1]) padded.add(bytes / shape[1] * channels);
  }
  // A ready-made engine for N,C,H,W may keep a table of 32-bit offsets beside its copies.
  const Shape& window = graph.tensors().at(weight_of(*convolution).index).shape;
  const std::int64_t table = 4 * window[1] * window[2] * window[3];
  if (transposed.fit(workspace) || transposed.fit(workspace - table)) return transposed.count;
  return padded.fit(workspace) ? padded.count : 0;
}

std::int64_t launches_of(const OperationGraph& graph, std::int64_t workspace, const std::string& json) {
  const auto text = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const auto kernels = nlohmann::json::json_pointer("/engine/payload/kernels");
  if (!text.is_object() || !text.contains(kernels)) {
    // A workspace that no copies explain holds what another kernel writes or reads: offsets, partial sums.
    const std::int64_t copies = tensor_copies(graph, workspace);
    return 1 + (copies > 0 ? copies : workspace > 0 ? 1 : 0);
  }
  const auto listed = static_cast<std::int64_t>(text.at(kernels).size());
  // A batch norm's grid waits at a barrier in the workspace, which a cudaMemsetAsync clears.
  const bool clears = workspace > 0 && std::ranges::any_of(graph.nodes(), is_batch_norm);
  return listed + (clears ? 1 : 0);
}

}  // namespace convoy::cuda::dnn
