// The attributes by which convolutions and pools of ONNX tell their windows.
#pragma once

#include <onnx/onnx_pb.h>

#include <string_view>

#include "convoy/shape.h"
#include "engine/io/onnx/node.h"
#include "engine/model/window.h"

namespace convoy {

/// An attribute of two numbers. Throws Error that names the node unless it has two from 0 to 2^31 - 1.
Extent extent_of(const ::onnx::NodeProto& node, Attributes& attributes, std::string_view name,
                 const Extent& otherwise);

/// The padding in front of the input and behind it.
struct Padding {
  Extent front = {0, 0};
  Extent behind = {0, 0};
};

/// The padding of `pads` or `auto_pad`, for a window without one over [N, C, H, W].
Padding padding_of(const ::onnx::NodeProto& node, Attributes& attributes, const Shape& input,
                   const Window& window);

/// In words: "by [0, 0] in front and [1, 1] behind".
std::string words_of(const Padding& padding);

/// For ceil_mode: throws Error unless the window ends where the padded input does, so that rounding up and
/// down is the same.
void expect_no_rest(const ::onnx::NodeProto& node, const Shape& input, const Window& window);

}  // namespace convoy
