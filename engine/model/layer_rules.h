// The rules of single layers: which settings and inputs they accept, and what shapes they put out and own.
// Shape inference, every backend and the builders of cuDNN's graphs call these functions and have no rules of
// their own.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "convoy/layers.h"
#include "convoy/shape.h"
#include "convoy/state.h"

namespace convoy {

/// No tensor and no setting is larger: the libraries below index a tensor's elements with 32 bits.
inline constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();

/// Where a layer stands: what its messages name, and the shape that it is given.
struct LayerSite {
  std::string name;  // the full state-dict prefix; empty where a backend makes a layer of no model
  std::string type;
  Shape input;  // with the batch in front

  /// Throws UsageError "layer 'NAME' (TYPE): PROBLEM", or "TYPE: PROBLEM" without a name.
  [[noreturn]] void fail(const std::string& problem) const;
};

/// The output shape of a layer, batch in front. Throws UsageError for settings that cannot be, an input that
/// does not fit, an empty output, and weights or outputs of more than kMaxElements. Every type of layer but
/// Residual has a specialisation in layer_rules.cpp.
template <typename AnyLayer>
Shape output_shape(const LayerSite& site, const AnyLayer& layer);

/// The same for a layer without a name.
template <typename AnyLayer>
Shape output_shape(const AnyLayer& layer, const Shape& input) {
  return output_shape(LayerSite{.name = {}, .type = type_name(layer), .input = input}, layer);
}

/// [out, in / groups, KH, KW]. The layer's settings must have passed output_shape.
Shape weight_shape(const Conv2d& layer);
/// [out, in].
Shape weight_shape(const Linear& layer);

/// True if every pixel is in one window at most, and no window has padding.
bool has_disjoint_windows(const MaxPool2d& layer);

/// The tensors that a single layer owns, in PyTorch's order, with names relative to the layer ("weight").
/// Empty for layers that own nothing; a Residual itself is one. The layer's settings must have passed
/// output_shape.
std::vector<TensorSpec> layer_tensors(const Layer& layer);

/// How many products one output element of a convolution or linear layer sums up; `weight` is [O, ...].
std::int64_t fan_in(const Shape& weight);

/// True if the product of the dimensions, all positive, is at most kMaxElements.
bool fits_in_a_tensor(const Shape& shape);

}  // namespace convoy
