// The shapes that a graph computes for its Reshapes, such as [size of x along axis 0, -1].
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "convoy/shape.h"
#include "engine/io/onnx/graph.h"

namespace convoy {

class OnnxShapes {
 public:
  explicit OnnxShapes(OnnxGraph& graph) : graph_(graph) {}

  /// Notes the shape of an activation, whose first size is the batch's.
  void note(const std::string& value, const Shape& shape) { activations_[value] = shape; }

  /// Nothing stands for the size of the batch.
  using Sizes = std::vector<std::optional<std::int64_t>>;

  /// The value that `node` takes as that input. Throws Error that names the node that cannot be read.
  Sizes input(const ::onnx::NodeProto& node, int index) { return input(node, index, 0); }

 private:
  Sizes input(const ::onnx::NodeProto& node, int index, int depth);
  Sizes of_node(const ::onnx::NodeProto& node, int depth);
  Sizes constant(const ::onnx::NodeProto& node, int index);
  Sizes part(const ::onnx::NodeProto& node, const Sizes& all, std::int64_t begin, std::int64_t end);
  std::int64_t number(const ::onnx::NodeProto& node, int index, int depth);

  OnnxGraph& graph_;
  std::map<std::string, Shape> activations_;
  std::map<std::string, Sizes> known_;
};

}  // namespace convoy
