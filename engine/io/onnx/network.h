// The network that an ONNX graph is: a chain of layers, with residuals where a value is used more than once.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "convoy/onnx.h"
#include "engine/io/onnx/graph.h"
#include "engine/io/onnx/layers.h"
#include "engine/io/onnx/names.h"
#include "engine/io/onnx/shapes.h"

namespace convoy {

class OnnxNetwork {
 public:
  explicit OnnxNetwork(OnnxGraph& graph) : graph_(graph), shapes_(graph) {}

  /// Reads it all; to be called once. Throws Error that names the node that cannot be read, UsageError for
  /// what a layer's rules refuse.
  OnnxModel read(const std::string& name);

 private:
  /// A chain of layers up to the graph's output, or to an Add of two activations.
  struct Chain {
    std::vector<ReadLayer> layers;
    std::string value;                        // what its last layer gives
    const ::onnx::NodeProto* join = nullptr;  // the Add; null at the graph's output
  };
  /// Where a chain stands: an activation, and who takes it.
  struct Edge {
    std::string value;
    const ::onnx::NodeProto* node = nullptr;
  };

  Chain follow(Edge edge, int depth);
  /// Goes through the residuals that begin at the edge's value, and finds who takes what the last one gives.
  /// False at the graph's output.
  bool advance(Chain& chain, Edge& edge, int depth);
  /// Adds the node's layer to the chain, and returns the value that it gives.
  std::string take(Chain& chain, const Edge& edge);
  /// Names a layer and adds it to the chain; returns the shape that it gives. The site is of its node.
  Shape append(Chain& chain, ReadLayer layer, const NodeSite& site);
  /// Goes on from the chain's value, to where the chain then ends.
  void extend(Chain& chain, int depth);
  /// The residual of two branches that one Add ends. Takes their layers.
  Chain joined(Chain& first, Chain& second);
  /// The residual that begins at a value with several consumers, of three or more one within another; returns
  /// the value that it gives.
  std::string branch(Chain& chain, const std::string& value, int depth);
  void note(const std::string& value, const Shape& shape);

  OnnxGraph& graph_;
  OnnxShapes shapes_;
  std::map<std::string, Shape> shape_of_;
  std::vector<std::string> notes_;
  LayerNames names_;
};

}  // namespace convoy
