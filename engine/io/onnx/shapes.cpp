#include "engine/io/onnx/shapes.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/io/onnx/node.h"
#include "engine/io/quote.h"

namespace convoy {

using ::onnx::NodeProto;

namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxSizes = 16;

}  // namespace

OnnxShapes::Sizes OnnxShapes::input(const NodeProto& node, int index, int depth) {
  if (index >= node.input_size() || node.input(index).empty()) {
    fail(node, fmt::format("it has no input {}", index));
  }
  const std::string& name = node.input(index);
  if (graph_.is_constant(name)) return constant(node, index);
  if (const auto known = known_.find(name); known != known_.end()) return known->second;
  const NodeProto* const producer = graph_.producer(name);
  if (producer == nullptr) fail(node, fmt::format("its input {} is not the size of anything", quote(name)));
  if (depth == kMaxDepth) fail(node, "what computes its shape is too long to be read");
  Sizes sizes = of_node(*producer, depth + 1);
  if (sizes.size() > kMaxSizes) fail(*producer, "it computes a shape of too many dimensions");
  return known_[name] = std::move(sizes);
}

OnnxShapes::Sizes OnnxShapes::constant(const NodeProto& node, int index) {
  const HostTensor tensor = graph_.constant(node, index);
  if (tensor.dtype == DType::float32 || tensor.shape.rank() > 1 || tensor.values.size() > kMaxSizes) {
    fail(node, fmt::format("its input {} is no list of whole numbers", quote(node.input(index))));
  }
  Sizes sizes;
  for (const double value : tensor.values) sizes.emplace_back(static_cast<std::int64_t>(value));
  return sizes;
}

std::int64_t OnnxShapes::number(const NodeProto& node, int index, int depth) {
  const Sizes sizes = input(node, index, depth);
  if (sizes.size() != 1 || !sizes[0]) fail(node, fmt::format("its input {} is not one number", index));
  return *sizes[0];
}

/// As Slice counts: from the end where negative, and cut to what there is.
OnnxShapes::Sizes OnnxShapes::part(const NodeProto& node, const Sizes& all, std::int64_t begin,
                                   std::int64_t end) {
  const std::int64_t size = std::ssize(all);
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size);
  };
  if (place(begin) > place(end)) fail(node, "its part ends in front of its beginning");
  return {all.begin() + place(begin), all.begin() + place(end)};
}

OnnxShapes::Sizes OnnxShapes::of_node(const NodeProto& node, int depth) {
  Attributes attributes(node);
  const std::string& type = node.op_type();
  if (type == "Shape") {
    const auto shape = node.input_size() == 1 ? activations_.find(node.input(0)) : activations_.end();
    if (shape == activations_.end()) fail(node, "it asks for a shape that is not known");
    const auto dimensions = shape->second.dimensions();
    Sizes all(dimensions.begin(), dimensions.end());
    all.at(0) = std::nullopt;
    const std::int64_t begin = attributes.integer("start", 0);
    const std::int64_t end = attributes.integer("end", std::ssize(all));
    return part(node, all, begin, end);
  }
  if (type == "Concat") {
    Sizes all;
    for (int i = 0; i < node.input_size() && all.size() <= kMaxSizes; ++i) {
      const Sizes more = input(node, i, depth);
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
  if (type == "Gather") {
    const Sizes all = input(node, 0, depth);
    const std::int64_t at = number(node, 1, depth);
    const std::int64_t index = at < 0 ? at + std::ssize(all) : at;
    if (index < 0 || index >= std::ssize(all)) fail(node, "it asks for a dimension that is not there");
    return {all[static_cast<std::size_t>(index)]};
  }
  if (type == "Slice") {
    if (node.input_size() == 5 && number(node, 4, depth) != 1) fail(node, "its steps are not 1");
    return part(node, input(node, 0, depth), number(node, 1, depth), number(node, 2, depth));
  }
  if (type == "Cast" || type == "Unsqueeze" || type == "Squeeze" || type == "Identity") {
    return input(node, 0, depth);
  }
  fail(node, "it cannot be read where a shape is computed");
}

}  // namespace convoy
