// What a node of an ONNX graph is as a layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <vector>

#include "convoy/host_tensor.h"
#include "convoy/layers.h"
#include "convoy/shape.h"
#include "engine/io/onnx/graph.h"
#include "engine/io/onnx/shapes.h"

namespace convoy {

/// A layer that was read. Its name is the whole one until it is put into a residual, then relative to that.
struct ReadLayer {
  std::string name;
  Layer layer;                      // of a Residual without body and shortcut, which are below
  StateDict tensors;                // names are relative to the layer: "weight"
  std::string weight;               // what the file calls its weight; empty if it has none
  std::vector<ReadLayer> body;      // of a Residual
  std::vector<ReadLayer> shortcut;  // of a Residual
  bool flattens = false;            // whether a Flatten is behind it, which the file has no node for
};

/// Where a node stands: the graph, what is known of shapes, the shape of the activation that it takes, with a
/// batch of 1, and the layer that gives this activation.
struct NodeSite {
  OnnxGraph& graph;
  OnnxShapes& shapes;
  const ::onnx::NodeProto& node;
  Shape input;
  ReadLayer* before = nullptr;  // null at the beginning of a network or branch
  std::vector<std::string>* notes = nullptr;

  /// Notes what the user should know of how the node was read.
  void note(const std::string& what) const;

  // These throw Error that names the node.
  void expect_inputs(int least, int most) const;
  void expect_rank(std::size_t rank) const;

  bool has_input(int index) const;
};

/// The layer, without a name; nothing for a node that changes nothing, such as Identity. Throws Error that
/// names the node, and what of it cannot be read.
std::optional<ReadLayer> read_layer(const NodeSite& site);

/// Puts the constant that an Add adds into the layer in front of it, as its bias. Throws Error unless that is
/// a Linear or a Conv2d without one, and the constant is one number, or has one for each of its channels.
void add_bias(const NodeSite& site);

}  // namespace convoy
