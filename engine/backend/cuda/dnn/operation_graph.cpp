#include "engine/backend/cuda/dnn/operation_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "convoy/error.h"

namespace convoy::cuda::dnn {
namespace {

Shape slide(const Shape& x, std::int64_t channels, const Window& w) {
  return {x[0], channels, w.outputs(0, x[2]), w.outputs(1, x[3])};
}

/// What a convolution of `x` puts out; nothing where the weight fits neither `x` nor the window.
Shape convolved(const Shape& x, const Shape& weight, const Window& w) {
  const bool groups_fit = x[1] % weight[1] == 0 && weight[0] % (x[1] / weight[1]) == 0;
  const bool taps_fit = w.kernel_size == Extent{weight[2], weight[3]};
  return groups_fit && taps_fit ? slide(x, weight[0], w) : Shape{0};
}

Shape pooled(const Shape& x, const Window& w) { return slide(x, x[1], w); }

bool broadcasts(const Shape& from, const Shape& to) {
  for (std::size_t axis = 0; axis < 4; ++axis) {
    if (from[axis] != to[axis] && from[axis] != 1) return false;
  }
  return true;
}

}  // namespace

void OperationGraph::take_role(Role role) const {
  const bool taken = std::ranges::any_of(tensors_, [&](const GraphTensor& t) { return t.role == role; });
  if (role == Role::none || taken) {
    throw UsageError(fmt::format("graph {}: role {} is taken", name_, static_cast<std::int64_t>(role)));
  }
}

void OperationGraph::refuse(const std::string& what, Value a, Value b) const {
  throw UsageError(
      fmt::format("graph {}: {} of {} and {} do not fit", name_, what, shape_of(a).str(), shape_of(b).str()));
}

Value OperationGraph::input(Role role, const Shape& shape, DType type) {
  take_role(role);
  const bool positive = std::ranges::all_of(shape.dimensions(), [](std::int64_t d) { return d > 0; });
  if (shape.rank() != 4 || !positive) {
    throw UsageError(fmt::format("graph {}: {} is not four positive dimensions", name_, shape.str()));
  }
  tensors_.push_back({.shape = shape, .type = type, .role = role});
  return {tensors_.size() - 1};
}

Value OperationGraph::scalar(Role role) {
  take_role(role);
  tensors_.push_back({.shape = {1, 1, 1, 1}, .role = role, .by_value = true});
  return {tensors_.size() - 1};
}

Value OperationGraph::virtual_tensor(const Shape& shape, DType type) {
  tensors_.push_back({.shape = shape, .type = type});
  return {tensors_.size() - 1};
}

void OperationGraph::output(Value value, Role role, DType type) {
  take_role(role);
  GraphTensor& tensor = tensors_.at(value.index);
  if (tensor.role != Role::none) throw UsageError(fmt::format("graph {}: an output has two roles", name_));
  tensor.role = role;
  if (tensor.type != DType::int8) tensor.type = type;
}

Value OperationGraph::convolve(Value x, Value weight, const Window& window) {
  const Shape y = convolved(shape_of(x), shape_of(weight), window);
  if (y.count() == 0) refuse("convolution", x, weight);
  const Value result = virtual_tensor(y);
  nodes_.push_back({Operator::convolve, {x, weight}, {result}, window});
  return result;
}

Value OperationGraph::convolve_backward_data(Value dy, Value weight, const Window& window, const Shape& x) {
  if (convolved(x, shape_of(weight), window) != shape_of(dy)) {
    refuse(fmt::format("input gradient {}", x.str()), dy, weight);
  }
  const Value dx = virtual_tensor(x);
  nodes_.push_back({Operator::convolve_backward_data, {dy, weight}, {dx}, window});
  return dx;
}

Value OperationGraph::convolve_backward_weight(Value x, Value dy, const Window& window, const Shape& weight) {
  if (convolved(shape_of(x), weight, window) != shape_of(dy)) {
    refuse(fmt::format("weight gradient {}", weight.str()), x, dy);
  }
  const Value dweight = virtual_tensor(weight);
  nodes_.push_back({Operator::convolve_backward_weight, {x, dy}, {dweight}, window});
  return dweight;
}

Value OperationGraph::pointwise(Operator op, Value a, Value b, DType type) {
  if (!broadcasts(shape_of(b), shape_of(a))) refuse("pointwise operation", a, b);
  const Value y = virtual_tensor(shape_of(a), type);
  nodes_.push_back({op, {a, b}, {y}});
  return y;
}

Value OperationGraph::relu(Value x) {
  const Value y = virtual_tensor(shape_of(x));
  nodes_.push_back({Operator::relu, {x}, {y}});
  return y;
}

PoolOutputs OperationGraph::pool(Value x, const Window& window, Pooling pooling) {
  const Shape y = pooled(shape_of(x), window);
  if (y.count() == 0) refuse("pooling", x, x);
  PoolOutputs out{virtual_tensor(y), {}};
  Node node{Operator::pool, {x}, {out.y}, window, pooling};
  if (pooling == Pooling::max) {
    out.index = virtual_tensor(y, DType::int8);
    node.outputs.push_back(out.index);
  }
  nodes_.push_back(std::move(node));
  return out;
}

Value OperationGraph::pool_backward(Value dy, Value index, const Window& window, Pooling pooling,
                                    const Shape& x) {
  if (pooled(x, window) != shape_of(dy)) {
    refuse(fmt::format("pooling gradient {}", x.str()), dy, dy);
  }
  const Value dx = virtual_tensor(x);
  Node node{Operator::pool_backward, {dy}, {dx}, window, pooling};
  if (pooling == Pooling::max) {
    if (shape_of(index) != shape_of(dy)) refuse("pooling index", dy, index);
    node.inputs.push_back(index);
  }
  nodes_.push_back(std::move(node));
  return dx;
}

void OperationGraph::require_channels(const char* what, Value x, std::initializer_list<Value> vectors) const {
  const Shape expected{1, shape_of(x)[1], 1, 1};
  for (const Value vector : vectors) {
    if (shape_of(vector) != expected) refuse(what, x, vector);
  }
}

BatchNormOutputs OperationGraph::batch_norm_training(const BatchNormInputs& in) {
  require_channels("batch norm", in.x, {in.scale, in.bias, in.running_mean, in.running_var});
  const Shape channels = shape_of(in.scale);
  const BatchNormOutputs out{virtual_tensor(shape_of(in.x)), virtual_tensor(channels),
                             virtual_tensor(channels), virtual_tensor(channels), virtual_tensor(channels)};
  nodes_.push_back({Operator::batch_norm_training,
                    {in.x, in.scale, in.bias, in.epsilon, in.momentum, in.running_mean, in.running_var},
                    {out.y, out.saved_mean, out.saved_inv_std, out.next_running_mean, out.next_running_var}});
  return out;
}

Value OperationGraph::batch_norm_inference(Value x, Value scale, Value bias, Value mean, Value inv_std) {
  require_channels("batch norm", x, {scale, bias, mean, inv_std});
  const Value y = virtual_tensor(shape_of(x));
  nodes_.push_back({Operator::batch_norm_inference, {x, scale, bias, mean, inv_std}, {y}});
  return y;
}

BatchNormGradients OperationGraph::batch_norm_backward(Value x, Value dy, Value scale, Value mean,
                                                       Value inv_std) {
  if (shape_of(x) != shape_of(dy)) refuse("batch norm gradient", x, dy);
  require_channels("batch norm gradient", x, {scale, mean, inv_std});
  const Shape channels = shape_of(scale);
  const BatchNormGradients out{virtual_tensor(shape_of(x)), virtual_tensor(channels),
                               virtual_tensor(channels)};
  nodes_.push_back(
      {Operator::batch_norm_backward, {x, dy, scale, mean, inv_std}, {out.dx, out.dscale, out.dbias}});
  return out;
}

std::string OperationGraph::str() const {
  if (nodes_.empty()) return name_;
  const std::vector<Value>& operands = nodes_.front().inputs;
  std::string text = fmt::format("{} of {}", name_, shape_of(operands.front()).str());
  if (operands.size() > 1) text += fmt::format(" and {}", shape_of(operands[1]).str());
  return text;
}

std::string OperationGraph::signature() const {
  std::string text = name_;
  for (const GraphTensor& t : tensors_) {
    text += fmt::format("|{}:{}:{}:{}", static_cast<std::int64_t>(t.role), static_cast<int>(t.type),
                        t.by_value ? 1 : 0, t.shape.str());
  }
  for (const Node& node : nodes_) {
    text +=
        fmt::format("|op{}:{}:{}:{}:{}:{}", static_cast<int>(node.op), static_cast<int>(node.pooling),
                    node.window.kernel_size, node.window.padding, node.window.stride, node.window.dilation);
    for (const Value v : node.inputs) text += fmt::format(",i{}", v.index);
    for (const Value v : node.outputs) text += fmt::format(",o{}", v.index);
  }
  return text;
}

}  // namespace convoy::cuda::dnn
