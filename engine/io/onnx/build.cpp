#include "engine/io/onnx/build.h"

#include "engine/io/onnx/tensor.h"

namespace convoy {

using ::onnx::AttributeProto;
using ::onnx::NodeProto;

GraphBuilder::GraphBuilder(::onnx::GraphProto& graph, const StateDict& state) : graph_(graph) {
  for (const auto& [name, tensor] : state) state_.emplace(name, &tensor);
}

NodeProto& GraphBuilder::node(const std::string& type, const std::string& name,
                              const std::vector<std::string>& inputs, const std::string& output) {
  NodeProto& node = *graph_.add_node();
  node.set_op_type(type);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

void GraphBuilder::add_tensor(const std::string& name, const HostTensor& tensor) {
  *graph_.add_initializer() = message_of(name, tensor);
}

void GraphBuilder::add_integers(const std::string& name, const std::vector<std::int64_t>& values) {
  ::onnx::TensorProto& tensor = *graph_.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(::onnx::TensorProto::INT64);
  tensor.add_dims(static_cast<std::int64_t>(values.size()));
  for (const std::int64_t value : values) tensor.add_int64_data(value);
}

const std::string& GraphBuilder::weight(const std::string& name) {
  return weight(name, state_.at(name)->shape);
}

const std::string& GraphBuilder::weight(const std::string& name, const Shape& shape) {
  const auto entry = state_.find(name);
  ::onnx::TensorProto& tensor = *graph_.add_initializer();
  tensor = message_of(name, *entry->second);
  tensor.clear_dims();
  for (const std::int64_t size : shape.dimensions()) tensor.add_dims(size);
  return entry->first;
}

void set_integer(NodeProto& node, const std::string& name, std::int64_t value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INT);
  attribute.set_i(value);
}

void set_real(NodeProto& node, const std::string& name, double value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::FLOAT);
  attribute.set_f(static_cast<float>(value));
}

void set_integers(NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INTS);
  for (const std::int64_t value : values) attribute.add_ints(value);
}

}  // namespace convoy
