#include "engine/io/onnx/window.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/io/quote.h"
#include "engine/model/layer_rules.h"

namespace convoy {

using ::onnx::NodeProto;

namespace {

bool in_range(std::int64_t value) { return value >= 0 && value <= kMaxElements; }

/// auto_pad SAME_UPPER and SAME_LOWER: as many outputs as strides fit into the input.
Extent same_padding(const NodeProto& node, const Shape& input, const Window& window) {
  Extent padding = {0, 0};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t size = input[axis + 2], stride = std::max<std::int64_t>(window.stride[axis], 1);
    const std::int64_t outputs = (size + stride - 1) / stride;
    const std::int64_t both = std::max<std::int64_t>((outputs - 1) * stride + window.reach(axis) - size, 0);
    if (both % 2 != 0) {
      fail(node, "its auto_pad pads one end of an axis more than the other; only even padding can be read");
    }
    padding[axis] = both / 2;
  }
  return padding;
}

}  // namespace

Extent extent_of(const NodeProto& node, Attributes& attributes, std::string_view name,
                 const Extent& otherwise) {
  const auto values = attributes.integers(name);
  if (!values) return otherwise;
  if (values->size() != 2 || !std::ranges::all_of(*values, in_range)) {
    fail(node, fmt::format("its attribute {} is [{}]; two numbers, for height and width, can be read", name,
                           fmt::join(*values, ", ")));
  }
  return {(*values)[0], (*values)[1]};
}

Extent padding_of(const NodeProto& node, Attributes& attributes, const Shape& input, const Window& window) {
  const auto pads = attributes.integers("pads");
  const std::string how = attributes.text("auto_pad", "NOTSET");
  if (how == "SAME_UPPER" || how == "SAME_LOWER") return same_padding(node, input, window);
  if (how == "VALID") return {0, 0};
  if (how != "NOTSET")
    fail(node, fmt::format("its attribute auto_pad is {}, which ONNX does not have", quote(how)));
  if (!pads) return {0, 0};
  if (pads->size() != 4 || !std::ranges::all_of(*pads, in_range)) {
    fail(node, fmt::format("its attribute pads is [{}], not four numbers", fmt::join(*pads, ", ")));
  }
  if ((*pads)[0] != (*pads)[2] || (*pads)[1] != (*pads)[3]) {
    fail(node, fmt::format("its attribute pads is [{}]; only the same at both ends of an axis can be read",
                           fmt::join(*pads, ", ")));
  }
  return {(*pads)[0], (*pads)[1]};
}

void expect_no_rest(const NodeProto& node, const Shape& input, const Window& window) {
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t room = input[axis + 2] + 2 * window.padding[axis] - window.reach(axis);
    if (room % std::max<std::int64_t>(window.stride[axis], 1) != 0) {
      fail(node, "its attribute ceil_mode is 1, which changes its output; only 0 can be read");
    }
  }
}

}  // namespace convoy
