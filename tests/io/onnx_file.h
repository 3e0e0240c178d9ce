// An ONNX file that tests make wrong.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "convoy/onnx.h"
#include "tests/temporary_folder.h"

namespace convoy::test {

using ::onnx::AttributeProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

/// Conv "conv" with a weight "k" [1, 1, 1, 1], Flatten "flat", Gemm "fc" with a weight "w" [2, 4]; x is [N,
/// 1, 2, 2].
class OnnxFile : public testing::Test {
 protected:
  OnnxFile() {
    message_.set_ir_version(8);
    message_.add_opset_import()->set_version(17);
    auto& input = *graph().add_input();
    input.set_name("x");
    auto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
    shape.add_dim()->set_dim_param("N");
    for (const std::int64_t size : {1, 2, 2}) shape.add_dim()->set_dim_value(size);
    graph().add_output()->set_name("y");
    tensor("k", {1, 1, 1, 1});
    tensor("w", {2, 4});
    conv_ = &node("Conv", "conv", {"x", "k"}, "c");
    flat_ = &node("Flatten", "flat", {"c"}, "f");
    fc_ = &node("Gemm", "fc", {"f", "w"}, "y");
    integer(*fc_, "transB", 1);
  }

  ::onnx::GraphProto& graph() { return *message_.mutable_graph(); }

  NodeProto& node(const std::string& type, const std::string& name, const std::vector<std::string>& inputs,
                  const std::string& output) {
    NodeProto& node = *graph().add_node();
    node.set_op_type(type);
    node.set_name(name);
    for (const auto& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }

  /// Puts a node between conv and flat.
  NodeProto& between(const std::string& type, const std::vector<std::string>& more = {}) {
    std::vector<std::string> inputs = {"c"};
    inputs.insert(inputs.end(), more.begin(), more.end());
    NodeProto& added = node(type, "new", inputs, "n");
    flat_->set_input(0, "n");
    graph().mutable_node()->SwapElements(2, 3);
    graph().mutable_node()->SwapElements(1, 2);
    return added;
  }

  TensorProto& tensor(const std::string& name, const std::vector<std::int64_t>& dims) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(TensorProto::FLOAT);
    std::int64_t count = 1;
    for (const std::int64_t size : dims) {
      tensor.add_dims(size);
      count *= size;
    }
    for (std::int64_t i = 0; i < count; ++i) tensor.add_float_data(0.5f);
    return tensor;
  }

  static void integer(NodeProto& node, const std::string& name, std::int64_t value) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::INT);
    attribute.set_i(value);
  }

  static void real(NodeProto& node, const std::string& name, float value) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::FLOAT);
    attribute.set_f(value);
  }

  static void text(NodeProto& node, const std::string& name, const std::string& value) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::STRING);
    attribute.set_s(value);
  }

  static void integers(NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::INTS);
    for (const std::int64_t value : values) attribute.add_ints(value);
  }

  std::string problem() {
    write_file(folder_ / "m.onnx", message_.SerializeAsString());
    const std::string message = error_of([&] { load_onnx(folder_ / "m.onnx"); });
    const std::string start = "cannot import " + (folder_ / "m.onnx").string() + ": ";
    EXPECT_TRUE(message.empty() || message.starts_with(start)) << message;
    return message.empty() ? "" : message.substr(start.size());
  }

  TemporaryFolder folder_;
  ModelProto message_;
  NodeProto *conv_ = nullptr, *flat_ = nullptr, *fc_ = nullptr;
};

}  // namespace convoy::test
