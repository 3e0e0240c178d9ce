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

/// auto_pad SAME_UPPER and SAME_LOWER: as many outputs as strides fit into the input. Of an uneven padding
/// one more is behind it if `upper`, else in front.
Padding same_padding(const Shape& input, const Window& window, bool upper) {
  Padding padding;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t size = input[axis + 2], stride = std::max<std::int64_t>(window.stride[axis], 1);
    const std::int64_t outputs = (size + stride - 1) / stride;
    const std::int64_t both = std::max<std::int64_t>((outputs - 1) * stride + window.reach(axis) - size, 0);
    padding.front[axis] = upper ? both / 2 : both - both / 2;
    padding.behind[axis] = both - padding.front[axis];
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

Padding padding_of(const NodeProto& node, Attributes& attributes, const Shape& input, const Window& window) {
  const auto pads = attributes.integers("pads");
  const std::string how = attributes.text("auto_pad", "NOTSET");
  if (how == "SAME_UPPER" || how == "SAME_LOWER") return same_padding(input, window, how == "SAME_UPPER");
  if (how == "VALID") return {};
  if (how != "NOTSET")
    fail(node, fmt::format("its attribute auto_pad is {}, which ONNX does not have", quote(how)));
  if (!pads) return {};
  if (pads->size() != 4 || !std::ranges::all_of(*pads, in_range)) {
    fail(node, fmt::format("its attribute pads is [{}], not four numbers", fmt::join(*pads, ", ")));
  }
  return {{(*pads)[0], (*pads)[1]}, {(*pads)[2], (*pads)[3]}};
}

std::string words_of(const Padding& padding) {
  return fmt::format("by [{}] in front and [{}] behind", fmt::join(padding.front, ", "),
                     fmt::join(padding.behind, ", "));
}

void expect_no_rest(const NodeProto& node, const Shape& input, const Window& window) {
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t room = input[axis + 2] + 2 * window.padding[axis] - window.reach(axis);
    if (room % std::max<std::int64_t>(window.stride[axis], 1) != 0) {
      fail(node,
           fmt::format(
               "its attribute ceil_mode is 1, which changes what it makes of {}; only 0 can be read: "
               "make the pool without it and train the model so, or export it for images of another size",
               input.str()));
    }
  }
}

}  // namespace convoy
