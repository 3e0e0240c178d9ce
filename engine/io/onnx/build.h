// Builds the graph of an ONNX file.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "convoy/host_tensor.h"
#include "convoy/layers.h"

namespace convoy {

/// What a layer is called, and the values that it takes and gives.
struct ValueNames {
  std::string layer;  // the whole name, as in the state dict
  std::string input;
  std::string output;
};

class GraphBuilder {
 public:
  /// The tensors in `state` must outlive this.
  GraphBuilder(::onnx::GraphProto& graph, const StateDict& state);

  /// Adds a node of one output.
  ::onnx::NodeProto& node(const std::string& type, const std::string& name,
                          const std::vector<std::string>& inputs, const std::string& output);

  /// Add an initializer.
  void add_tensor(const std::string& name, const HostTensor& tensor);
  void add_integers(const std::string& name, const std::vector<std::int64_t>& values);

  /// Adds a tensor of the state under its name, which is returned; the second with another shape.
  const std::string& weight(const std::string& name);
  const std::string& weight(const std::string& name, const Shape& shape);

 private:
  ::onnx::GraphProto& graph_;
  std::map<std::string, const HostTensor*> state_;
};

// Add an attribute.
void set_integer(::onnx::NodeProto& node, const std::string& name, std::int64_t value);
void set_real(::onnx::NodeProto& node, const std::string& name, double value);
void set_integers(::onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values);

}  // namespace convoy
