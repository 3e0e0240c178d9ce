#include "engine/io/onnx/layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/io/onnx/node.h"
#include "engine/io/onnx/weighted_layers.h"
#include "engine/io/onnx/window.h"
#include "engine/io/quote.h"

namespace convoy {
namespace {

using Read = std::optional<ReadLayer>;

template <typename Pool>
Pool pool_of(const NodeSite& site, Attributes& attributes) {
  site.expect_inputs(1, 1);
  site.expect_rank(4);
  if (!attributes.integers("kernel_shape")) fail(site.node, "it has no kernel_shape");
  Pool pool;
  pool.kernel_size = extent_of(site.node, attributes, "kernel_shape", {1, 1});
  pool.stride = extent_of(site.node, attributes, "strides", {1, 1});
  if (std::ranges::min(pool.stride) < 1) fail(site.node, "its attribute strides has a 0");
  if (extent_of(site.node, attributes, "dilations", {1, 1}) != Extent{1, 1}) {
    fail(site.node, "its attribute dilations is not 1; such pools cannot be read");
  }
  const Window window{pool.kernel_size, pool.stride, {}, {1, 1}};
  const Padding padding = padding_of(site.node, attributes, site.input, window);
  if (padding.front != padding.behind) {
    fail(site.node,
         fmt::format("it pads {} {}, and a pool can be read with the same at both ends alone: make the pool "
                     "so and train the model so, or export it for images of another size",
                     site.input.str(), words_of(padding)));
  }
  pool.padding = padding.front;
  if (attributes.integer("ceil_mode", 0) != 0) {
    expect_no_rest(site.node, site.input, {pool.kernel_size, pool.stride, pool.padding, {1, 1}});
  }
  if (pool.stride == pool.kernel_size) pool.stride = {0, 0};  // the same, as model files have it
  return pool;
}

Read max_pool(const NodeSite& site) {
  if (site.node.output_size() > 1 && !site.node.output(1).empty()) {
    fail(site.node, "its second output, where the maxima are, cannot be read");
  }
  Attributes attributes(site.node);
  auto layer = pool_of<MaxPool2d>(site, attributes);
  attributes.ignore("storage_order");
  attributes.expect_no_more();
  return ReadLayer{.layer = layer};
}

Read average_pool(const NodeSite& site) {
  Attributes attributes(site.node);
  auto layer = pool_of<AvgPool2d>(site, attributes);
  const bool padded = layer.padding != Extent{0, 0};
  // Without padding both ways are the same, and PyTorch's default is to count.
  layer.count_include_pad = attributes.integer("count_include_pad", 0) != 0 || !padded;
  attributes.expect_no_more();
  return ReadLayer{.layer = layer};
}

Read global_average_pool(const NodeSite& site) {
  site.expect_inputs(1, 1);
  site.expect_rank(4);
  Attributes(site.node).expect_no_more();
  return ReadLayer{.layer = GlobalAvgPool2d{}};
}

/// The axes that a node is about, those of [N, C, H, W], in their order.
std::vector<std::int64_t> axes_of(const NodeSite& site, Attributes& attributes) {
  std::vector<std::int64_t> axes = attributes.integers("axes").value_or(std::vector<std::int64_t>{});
  if (site.has_input(1)) {
    for (const auto axis : site.shapes.input(site.node, 1)) axes.push_back(axis.value_or(0));
  }
  for (std::int64_t& axis : axes) axis += axis < 0 ? 4 : 0;
  std::ranges::sort(axes);
  return axes;
}

const std::vector<std::int64_t> kPlane = {2, 3};

/// A mean over height and width.
Read reduce_mean(const NodeSite& site) {
  site.expect_inputs(1, 2);
  site.expect_rank(4);
  Attributes attributes(site.node);
  const auto axes = axes_of(site, attributes);
  if (axes != kPlane) {
    fail(site.node,
         fmt::format("it is over the axes [{}]; a mean over [2, 3] can be read", fmt::join(axes, ", ")));
  }
  const bool keeps = attributes.integer("keepdims", 1) != 0;
  attributes.expect("noop_with_empty_axes", 0);
  attributes.expect_no_more();
  return ReadLayer{.layer = GlobalAvgPool2d{}, .flattens = !keeps};
}

/// Takes away height and width, as behind a GlobalAveragePool.
Read squeeze(const NodeSite& site) {
  site.expect_inputs(1, 2);
  site.expect_rank(4);
  Attributes attributes(site.node);
  const auto axes = axes_of(site, attributes);
  attributes.expect_no_more();
  if (axes != kPlane || site.input[2] != 1 || site.input[3] != 1) {
    fail(site.node, fmt::format("it takes the axes [{}] from {}; [2, 3] can be taken where they are 1",
                                fmt::join(axes, ", "), site.input.str()));
  }
  return ReadLayer{.layer = Flatten{}};
}

/// Of [N, F] a Flatten changes nothing.
Read flatten_layer(const NodeSite& site) {
  if (site.input.rank() == 2) return std::nullopt;
  return ReadLayer{.layer = Flatten{}};
}

Read flatten(const NodeSite& site) {
  site.expect_inputs(1, 1);
  Attributes attributes(site.node);
  const std::int64_t axis = attributes.integer("axis", 1);
  attributes.expect_no_more();
  if ((axis < 0 ? axis + static_cast<std::int64_t>(site.input.rank()) : axis) != 1) {
    fail(site.node, fmt::format("its attribute axis is {}; only 1 can be read", axis));
  }
  return flatten_layer(site);
}

Read reshape(const NodeSite& site) {
  site.expect_inputs(2, 2);
  Attributes attributes(site.node);
  const bool allow_zero = attributes.integer("allowzero", 0) != 0;
  attributes.expect_no_more();
  const OnnxShapes::Sizes target = site.shapes.input(site.node, 1);
  const std::int64_t features = site.input.count() / site.input[0];
  const auto is_batch = [&](std::optional<std::int64_t> size) {
    return !size || (*size == 0 && !allow_zero) || (site.graph.batch() && *size == *site.graph.batch());
  };
  const bool flat =
      target.size() == 2 && ((is_batch(target[0]) && (target[1] == -1 || target[1] == features)) ||
                             (target[0] == -1 && target[1] == features));
  if (!flat) {
    std::string sizes;
    for (const auto size : target) {
      sizes += fmt::format("{}{}", sizes.empty() ? "" : ", ", size ? std::to_string(*size) : "N");
    }
    fail(site.node, fmt::format("it makes [{}] of {}; a Reshape that flattens, to [N, {}], can be read",
                                sizes, site.input.str(), features));
  }
  return flatten_layer(site);
}

Read dropout(const NodeSite& site) {
  site.expect_inputs(1, 3);
  Attributes attributes(site.node);
  double ratio = attributes.real("ratio", 0.5);
  attributes.ignore("seed");
  attributes.ignore("is_test");
  attributes.expect_no_more();
  if (site.has_input(1)) {
    const HostTensor given = site.graph.weight(site.node, 1);
    if (given.values.size() != 1) fail(site.node, "its ratio is not one number");
    ratio = shortest(static_cast<float>(given.values[0]));
  }
  return ReadLayer{.layer = Dropout{ratio}};
}

Read nothing(const NodeSite& site) {
  site.expect_inputs(1, 1);
  return std::nullopt;
}

Read relu(const NodeSite& site) {
  site.expect_inputs(1, 1);
  Attributes(site.node).expect_no_more();
  return ReadLayer{.layer = ReLU{}};
}

/// The probabilities behind the logits, which are the network's output here: the classes are the same, and
/// training and predict compute the probabilities themselves.
Read softmax(const NodeSite& site) {
  site.expect_inputs(1, 1);
  site.expect_rank(2);
  Attributes attributes(site.node);
  const std::int64_t axis = attributes.integer("axis", 1);
  attributes.expect_no_more();
  if (axis != 1 && axis != -1) {
    fail(site.node, fmt::format("its attribute axis is {}; only 1, that of the classes, can be read", axis));
  }
  const std::string* value = &site.node.output(0);
  while (*value != site.graph.output()) {
    const auto& takers = site.graph.consumers(*value);
    if (takers.size() != 1 || takers.front()->op_type() != "Identity") {
      fail(site.node, "it is not the last node; only behind the logits can it be left out");
    }
    value = &takers.front()->output(0);
  }
  site.note(
      "it is left out, so the logits in front of it are the output; the loss and predict compute it "
      "themselves");
  return std::nullopt;
}

struct Operator {
  std::string_view type;
  Read (*read)(const NodeSite&);
};
constexpr std::array<Operator, 16> kOperators = {{
    {"Conv", read_conv},
    {"BatchNormalization", read_batch_norm},
    {"Relu", relu},
    {"MaxPool", max_pool},
    {"AveragePool", average_pool},
    {"GlobalAveragePool", global_average_pool},
    {"ReduceMean", reduce_mean},
    {"Flatten", flatten},
    {"Reshape", reshape},
    {"Squeeze", squeeze},
    {"Gemm", read_gemm},
    {"MatMul", read_mat_mul},
    {"Dropout", dropout},
    {"Identity", nothing},
    {"Softmax", softmax},
    {"LogSoftmax", softmax},
}};

}  // namespace

void NodeSite::note(const std::string& what) const {
  if (notes != nullptr) notes->push_back(described(node) + ": " + what);
}

void NodeSite::expect_inputs(int least, int most) const {
  const int count = node.input_size();
  if (count < least || count > most) {
    fail(node, fmt::format("it has {} inputs, not {} to {}", count, least, most));
  }
}

void NodeSite::expect_rank(std::size_t rank) const {
  if (input.rank() == rank) return;
  fail(node, fmt::format("its input is {}; only one of {} dimensions can be read", input.str(), rank));
}

bool NodeSite::has_input(int index) const { return index < node.input_size() && !node.input(index).empty(); }

std::optional<ReadLayer> read_layer(const NodeSite& site) {
  const ::onnx::NodeProto& node = site.node;
  const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
  const auto* const known = std::ranges::find(kOperators, node.op_type(), &Operator::type);
  if (!standard || known == kOperators.end()) {
    std::string names;
    for (const Operator& other : kOperators) names += fmt::format("{}, ", other.type);
    fail(node, fmt::format("this operator{} cannot be read; those that can are {}Add and Constant",
                           standard ? "" : " of " + quote(node.domain()), names));
  }
  return known->read(site);
}

}  // namespace convoy
