#include "engine/io/onnx/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "convoy/error.h"
#include "engine/io/onnx/arrange.h"
#include "engine/io/onnx/node.h"
#include "engine/io/quote.h"
#include "engine/model/layer_rules.h"

namespace convoy {
namespace {

using ::onnx::AttributeProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

// A model file of so many layers would be larger than one may be.
constexpr int kMaxNodes = 10'000;

/// What computes with shapes, if all that it takes is of shapes or constant.
bool is_shape_arithmetic(const std::string& type) {
  return type == "Gather" || type == "Unsqueeze" || type == "Squeeze" || type == "Concat" || type == "Cast" ||
         type == "Slice" || type == "Identity";
}

/// The tensor that a Constant has; of a number or a list of numbers a new one, which is put into `lists`.
const TensorProto* constant_of(const NodeProto& node, std::vector<std::unique_ptr<TensorProto>>& lists) {
  if (node.attribute_size() != 1) fail(node, "it does not have one value");
  const AttributeProto& value = node.attribute(0);
  if (value.name() == "value" && value.has_t()) return &value.t();
  auto list = std::make_unique<TensorProto>();
  const auto take = [&](const auto& numbers, auto type, auto* into) {
    list->set_data_type(type);
    list->add_dims(numbers.size());
    for (const auto number : numbers) into->Add(number);
  };
  if (value.name() == "value_int") {
    list->set_data_type(TensorProto::INT64);
    list->add_int64_data(value.i());
  } else if (value.name() == "value_float") {
    list->set_data_type(TensorProto::FLOAT);
    list->add_float_data(value.f());
  } else if (value.name() == "value_ints") {
    take(value.ints(), TensorProto::INT64, list->mutable_int64_data());
  } else if (value.name() == "value_floats") {
    take(value.floats(), TensorProto::FLOAT, list->mutable_float_data());
  } else {
    fail(node, fmt::format("its attribute {} cannot be read", quote(value.name())));
  }
  lists.push_back(std::move(list));
  return lists.back().get();
}

}  // namespace

OnnxGraph::OnnxGraph(const ::onnx::GraphProto& graph, ExternalBytes external)
    : external_(std::move(external)) {
  if (graph.node_size() > kMaxNodes) {
    throw Error(fmt::format("it has {} nodes; {} is the most that are read", graph.node_size(), kMaxNodes));
  }
  take_initializers(graph);
  take_ends(graph);
  for (const NodeProto& node : graph.node()) take_node(node);
  if (!producers_.contains(output_)) throw Error(fmt::format("no node gives its output {}", quote(output_)));
  keep_live();
}

void OnnxGraph::take_initializers(const ::onnx::GraphProto& graph) {
  for (const TensorProto& tensor : graph.initializer()) {
    if (!producers_.emplace(tensor.name(), nullptr).second) {
      throw Error(fmt::format("two of its initializers are {}", quote(tensor.name())));
    }
    constants_.emplace(tensor.name(), &tensor);
  }
  if (graph.sparse_initializer_size() > 0) throw Error("it has sparse initializers, which are not read");
}

void OnnxGraph::take_ends(const ::onnx::GraphProto& graph) {
  const ::onnx::ValueInfoProto* image = nullptr;
  for (const auto& input : graph.input()) {
    if (constants_.contains(input.name())) continue;  // old files list initializers as well
    if (image != nullptr) {
      throw Error(fmt::format("it has two inputs, {} and {}; a network of one can be read",
                              quote(image->name()), quote(input.name())));
    }
    image = &input;
  }
  if (image == nullptr) throw Error("it has no input");
  if (graph.output_size() != 1) {
    throw Error(fmt::format("it has {} outputs; a network of one can be read", graph.output_size()));
  }
  input_ = image->name();
  output_ = graph.output(0).name();
  producers_.emplace(input_, nullptr);

  const auto& dimensions = image->type().tensor_type().shape().dim();
  if (dimensions.size() != 4) {
    throw Error(fmt::format("its input {} has {} dimensions; [N, C, H, W] can be read", quote(input_),
                            dimensions.size()));
  }
  std::vector<std::int64_t> sizes;
  for (int axis = 1; axis < 4; ++axis) {
    if (!dimensions[axis].has_dim_value() || dimensions[axis].dim_value() < 1 ||
        dimensions[axis].dim_value() > kMaxElements) {
      throw Error(
          fmt::format("its input {} does not fix channels, height and width; export the model for "
                      "images of one size",
                      quote(input_)));
    }
    sizes.push_back(dimensions[axis].dim_value());
  }
  image_ = Shape(std::move(sizes));
  if (dimensions[0].has_dim_value() && dimensions[0].dim_value() > 0) batch_ = dimensions[0].dim_value();
}

void OnnxGraph::take_node(const NodeProto& node) {
  if (node.output_size() == 0 || node.output(0).empty()) fail(node, "its first output has no name");
  bool of_constants = true, of_shapes = true;
  for (const std::string& input : node.input()) {
    if (input.empty()) continue;  // an optional one that is not given
    if (!producers_.contains(input)) {
      fail(node, fmt::format("no initializer and no node in front of it gives its input {}", quote(input)));
    }
    of_constants = of_constants && constants_.contains(input);
    of_shapes = of_shapes && (constants_.contains(input) || of_shapes_.contains(input));
  }
  for (const std::string& output : node.output()) {
    if (output.empty()) continue;
    if (!producers_.emplace(output, &node).second) {
      fail(node, fmt::format("its output {} is given elsewhere, too", quote(output)));
    }
    if (node.op_type() == "Shape" || (of_shapes && is_shape_arithmetic(node.op_type()))) {
      of_shapes_.insert(output);
    }
  }
  if (of_constants) take_constant(node);
  nodes_.push_back(&node);
}

void OnnxGraph::take_constant(const NodeProto& node) {
  const std::string& type = node.op_type();
  const std::string& output = node.output(0);
  if (type == "Constant") constants_[output] = constant_of(node, lists_);
  const auto given = node.input_size() > 0 ? constants_.find(node.input(0)) : constants_.end();
  if (given == constants_.end()) return;
  const auto before = arranged_.find(given->first);
  if (type == "Identity" && before != arranged_.end()) arranged_[output] = before->second;
  if (type == "Transpose" || type == "Reshape") {
    const auto is_arranged = [&](const std::string& input) { return arranged_.contains(input); };
    if (std::ranges::any_of(node.input(), is_arranged)) return;  // two in a row are not read
    arranged_[output] = &node;
  } else if (type != "Identity") {
    return;
  }
  constants_[output] = given->second;
}

void OnnxGraph::keep_live() {
  std::set<std::string> needed = {output_};
  std::vector<const NodeProto*> live;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    const auto is_needed = [&](const std::string& output) { return needed.contains(output); };
    if (std::ranges::none_of((*node)->output(), is_needed)) continue;
    needed.insert((*node)->input().begin(), (*node)->input().end());
    needed.erase("");  // an optional input that is not given
    live.push_back(*node);
  }
  std::ranges::reverse(live);
  nodes_ = std::move(live);
  for (const NodeProto* node : nodes_) {
    if (of_shapes_.contains(node->output(0))) continue;
    for (const std::string& input : node->input()) {
      const bool activation = !input.empty() && !constants_.contains(input) && !of_shapes_.contains(input);
      if (activation) consumers_[input].push_back(node);
    }
  }
}

const std::vector<const NodeProto*>& OnnxGraph::consumers(const std::string& value) const {
  static const std::vector<const NodeProto*> none;
  const auto found = consumers_.find(value);
  return found == consumers_.end() ? none : found->second;
}

const NodeProto* OnnxGraph::producer(const std::string& value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : found->second;
}

HostTensor OnnxGraph::constant(const NodeProto& node, int input) {
  constexpr int kMostUses = 64;
  constexpr std::size_t kSmall = 64, kMostCopied = std::size_t{1} << 24;  // elements
  const std::string name = input < node.input_size() ? node.input(input) : "";
  if (name.empty()) fail(node, fmt::format("it has no input {}", input));
  const auto found = constants_.find(name);
  if (found == constants_.end()) {
    fail(node, fmt::format("its input {} is computed, but only a constant can be read there", quote(name)));
  }
  if (const auto arranged = arranged_.find(name); arranged != arranged_.end()) {
    const NodeProto& by = *arranged->second;
    if (by.op_type() == "Transpose") return transposed(by, constant(by, 0));
    return reshaped(by, constant(by, 0), constant(by, 1));
  }
  HostTensor tensor = tensor_of(*found->second, external_);
  if (tensor.values.size() <= kSmall) return tensor;
  const int uses = ++uses_[found->second];
  if (uses > kMostUses) {
    fail(node, fmt::format("its input {} is used more than {} times", quote(name), kMostUses));
  }
  copied_ += uses > 1 ? tensor.values.size() : 0;
  if (copied_ > kMostCopied) {
    fail(node, fmt::format("with its input {}, weights that are used again have more than {} elements",
                           quote(name), kMostCopied));
  }
  return tensor;
}

HostTensor OnnxGraph::weight(const NodeProto& node, int input) {
  HostTensor tensor = constant(node, input);
  if (tensor.dtype != DType::float32) {
    fail(node, fmt::format("its input {} is of whole numbers", quote(node.input(input))));
  }
  return tensor;
}

}  // namespace convoy
