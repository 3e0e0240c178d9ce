// A group norm, which ONNX has no operator for before opset 18: [N, C, H, W] is made [N, groups, rest], each
// group is normalised as one channel, and what comes out is scaled and shifted by channel.
#pragma once

#include "engine/io/onnx/build.h"
#include "engine/io/onnx/layers.h"

namespace convoy {

/// A layer that several nodes make.
struct ReadNodes {
  ReadLayer layer;
  std::string output;  // the value that the last of them gives
};

/// The group norm that begins with the Reshape `site.node`; nothing if it does not begin one.
std::optional<ReadNodes> read_group_norm(const NodeSite& site);

/// Writes the nodes of one, of images [N, C, H, W].
void write_group_norm(GraphBuilder& builder, const GroupNorm& layer, const Shape& image,
                      const ValueNames& names);

}  // namespace convoy
