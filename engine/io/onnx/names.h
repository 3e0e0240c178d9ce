// Names of layers, from those of an ONNX file's weights and nodes.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <set>
#include <string>

#include "engine/io/onnx/layers.h"

namespace convoy {

class LayerNames {
 public:
  /// A name that no other layer has: what the file calls its weight, without ".weight", else the node's
  /// module, else the type with a number.
  std::string of(const ReadLayer& layer, const ::onnx::NodeProto& node);

  /// Names the residual that `join` ends, and makes the names of the layers within relative to its own.
  void give(ReadLayer& residual, const ::onnx::NodeProto& join);

 private:
  bool take(const std::string& name);
  std::string numbered(const Layer& layer);

  std::set<std::string> taken_;
  std::map<std::string, int> numbers_;  // the last one of each type
};

/// Makes of any text what can name a model; `otherwise` if nothing of it can.
std::string model_name(const std::string& text, const std::string& otherwise);

}  // namespace convoy
