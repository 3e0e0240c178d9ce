#include "engine/io/onnx/group_norm.h"

#include <algorithm>
#include <utility>

#include "engine/io/onnx/node.h"

namespace convoy {
namespace {

using ::onnx::NodeProto;

/// The only node that takes the value, if its operator is that; else null.
const NodeProto* only_consumer(const OnnxGraph& graph, const std::string& value, std::string_view type) {
  const auto& consumers = graph.consumers(value);
  return consumers.size() == 1 && consumers[0]->op_type() == type ? consumers[0] : nullptr;
}

/// Whether a Reshape makes [N, groups, rest] of an image; tells how many groups.
std::optional<std::int64_t> groups_of(const NodeSite& site) {
  if (site.node.op_type() != "Reshape" || site.input.rank() != 4) return std::nullopt;
  const auto target = site.shapes.input(site.node, 1);
  if (target.size() != 3 || !target[1] || *target[1] < 1 || site.input[1] % *target[1] != 0)
    return std::nullopt;
  return *target[1];
}

bool all_are(const HostTensor& tensor, std::int64_t count, double value) {
  return tensor.shape == Shape{count} &&
         std::ranges::all_of(tensor.values, [&](double v) { return v == value; });
}

/// The constant that `node` multiplies by or adds, as a list of a number for each channel.
HostTensor by_channel(const NodeSite& site, const NodeProto& node) {
  if (node.input_size() != 2) fail(node, "it does not have two inputs");
  HostTensor tensor = site.graph.weight(node, site.graph.is_constant(node.input(0)) ? 0 : 1);
  const std::int64_t channels = site.input[1];
  const auto dimensions = tensor.shape.dimensions();
  const bool fits = tensor.shape.count() == channels && dimensions.size() >= 3 &&
                    dimensions[dimensions.size() - 3] == channels;
  if (!fits) fail(node, "behind a group norm, only one number for each channel can be read");
  tensor.shape = Shape{channels};
  return tensor;
}

/// Throws unless the Reshape behind the normalisation undoes the one in front of it.
void expect_image(const NodeSite& site, const NodeProto& back) {
  const auto target = site.shapes.input(back, 1);
  bool same = target.size() == 4;
  int open = 0;
  for (std::size_t axis = 1; same && axis < 4; ++axis) {
    const std::int64_t size = target[axis].value_or(0);
    open += size == -1 ? 1 : 0;
    same = size == site.input[axis] || size == -1;
  }
  if (!same || open > 1) fail(back, "behind a group norm, only a Reshape back to the image can be read");
}

}  // namespace

std::optional<ReadNodes> read_group_norm(const NodeSite& site) {
  const auto groups = groups_of(site);
  if (!groups) return std::nullopt;
  OnnxGraph& graph = site.graph;
  const NodeProto* const norm = only_consumer(graph, site.node.output(0), "InstanceNormalization");
  if (norm == nullptr) return std::nullopt;
  const NodeProto* const back = only_consumer(graph, norm->output(0), "Reshape");
  if (back == nullptr || !all_are(graph.weight(*norm, 1), *groups, 1.0) ||
      !all_are(graph.weight(*norm, 2), *groups, 0.0)) {
    fail(*norm, "only an InstanceNormalization that is part of a group norm can be read");
  }
  expect_image(site, *back);
  Attributes attributes(*norm);
  GroupNorm layer{.num_groups = *groups, .num_channels = site.input[1], .affine = false};
  layer.eps = attributes.real("epsilon", 1e-5);
  attributes.expect_no_more();
  ReadNodes read{.layer = {}, .output = back->output(0)};
  if (const NodeProto* const scale = only_consumer(graph, read.output, "Mul")) {
    const NodeProto* const shift = only_consumer(graph, scale->output(0), "Add");
    if (shift == nullptr) fail(*scale, "behind a group norm, a Mul without an Add cannot be read");
    layer.affine = true;
    read.layer.tensors.emplace_back("weight", by_channel(site, *scale));
    read.layer.tensors.emplace_back("bias", by_channel(site, *shift));
    read.layer.weight = graph.stored_name(scale->input(graph.is_constant(scale->input(0)) ? 0 : 1));
    read.output = shift->output(0);
  }
  read.layer.layer = layer;
  return read;
}

void write_group_norm(GraphBuilder& builder, const GroupNorm& layer, const Shape& image,
                      const ValueNames& names) {
  const std::int64_t channels = layer.num_channels;
  const std::string prefix = names.output + "/";
  const auto reshape = [&](const std::string& from, const std::string& to,
                           const std::vector<std::int64_t>& sizes) {
    builder.add_integers(to + "/shape", sizes);
    builder.node("Reshape", to, {from, to + "/shape"}, to);
  };
  reshape(names.input, prefix + "grouped", {0, layer.num_groups, -1});
  builder.add_tensor(prefix + "ones",
                     {{layer.num_groups}, std::vector(static_cast<std::size_t>(layer.num_groups), 1.0)});
  builder.add_tensor(prefix + "zeros", zeros({layer.num_groups}));
  NodeProto& norm =
      builder.node("InstanceNormalization", prefix + "normalised",
                   {prefix + "grouped", prefix + "ones", prefix + "zeros"}, prefix + "normalised");
  set_real(norm, "epsilon", layer.eps);
  const std::string last = layer.affine ? prefix + "image" : names.output;
  reshape(prefix + "normalised", last, {0, channels, image[2], image[3]});
  if (!layer.affine) return;
  builder.node("Mul", prefix + "scaled", {last, builder.weight(names.layer + ".weight", {channels, 1, 1})},
               prefix + "scaled");
  builder.node("Add", names.layer,
               {prefix + "scaled", builder.weight(names.layer + ".bias", {channels, 1, 1})}, names.output);
}

}  // namespace convoy
