// The graph of an ONNX file, checked: every value is given once, in front of whoever takes it, so there is no
// cycle. Nodes that the output does not depend on are left out.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "convoy/shape.h"
#include "engine/io/onnx/tensor.h"

namespace convoy {

class OnnxGraph {
 public:
  /// `graph` must outlive this. Throws Error.
  OnnxGraph(const ::onnx::GraphProto& graph, ExternalBytes external);

  const std::string& input() const { return input_; }
  const std::string& output() const { return output_; }
  const Shape& image() const { return image_; }                 // [C, H, W]
  std::optional<std::int64_t> batch() const { return batch_; }  // if the file fixes it

  /// The nodes that compute with an activation; not those that only ask for its shape.
  const std::vector<const ::onnx::NodeProto*>& consumers(const std::string& value) const;

  /// The node that gives the value; null for an input or an initializer.
  const ::onnx::NodeProto* producer(const std::string& value) const;

  /// Whether the value is an initializer, or what a Constant gives, or an Identity, a Reshape or a Transpose
  /// of one.
  bool is_constant(const std::string& value) const { return constants_.contains(value); }

  /// The name under which a constant is stored: of an Identity and the like that of its input.
  const std::string& stored_name(const std::string& value) const { return constants_.at(value)->name(); }

  /// The value of a constant that `node` takes. Throws Error that names the node if it is no constant, or
  /// constants are used so often that a file would make a much larger network.
  HostTensor constant(const ::onnx::NodeProto& node, int input);

  /// The same; throws also unless it is float32.
  HostTensor weight(const ::onnx::NodeProto& node, int input);

 private:
  void take_initializers(const ::onnx::GraphProto& graph);
  void take_ends(const ::onnx::GraphProto& graph);
  void take_node(const ::onnx::NodeProto& node);
  void take_constant(const ::onnx::NodeProto& node);
  void keep_live();

  ExternalBytes external_;
  std::map<const ::onnx::TensorProto*, int> uses_;
  std::size_t copied_ = 0;  // elements of constants, each time that one is used again
  std::string input_, output_;
  Shape image_;
  std::optional<std::int64_t> batch_;
  std::vector<const ::onnx::NodeProto*> nodes_;
  std::map<std::string, const ::onnx::NodeProto*> producers_;  // null for what no node gives
  std::map<std::string, const ::onnx::TensorProto*> constants_;
  std::map<std::string, const ::onnx::NodeProto*> arranged_;  // constants that a Reshape or Transpose makes
  std::vector<std::unique_ptr<::onnx::TensorProto>> lists_;   // of Constants that are no tensors
  std::set<std::string> of_shapes_;                           // values that are computed of shapes alone
  std::map<std::string, std::vector<const ::onnx::NodeProto*>> consumers_;
};

}  // namespace convoy
