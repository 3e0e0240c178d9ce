// The rules of single layers: which settings and inputs they accept, and what shapes they put out and own.
// Shape inference, every backend and the builders of cuDNN's graphs call these functions and have no rules of
// their own.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "engine/core/shape.h"
#include "engine/model/layers.h"

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
/// does not fit, an empty output, and weights or outputs of more than kMaxElements.
Shape output_shape(const LayerSite& site, const Conv2d& layer);
Shape output_shape(const LayerSite& site, const BatchNorm2d& layer);
Shape output_shape(const LayerSite& site, const ReLU& layer);
Shape output_shape(const LayerSite& site, const MaxPool2d& layer);
Shape output_shape(const LayerSite& site, const AvgPool2d& layer);
Shape output_shape(const LayerSite& site, const GlobalAvgPool2d& layer);
Shape output_shape(const LayerSite& site, const Flatten& layer);
Shape output_shape(const LayerSite& site, const Linear& layer);
Shape output_shape(const LayerSite& site, const Dropout& layer);

/// The same for a layer without a name.
template <typename AnyLayer>
Shape output_shape(const AnyLayer& layer, const Shape& input) {
  return output_shape(LayerSite{.name = {}, .type = type_name(layer), .input = input}, layer);
}

/// [out, in / groups, KH, KW]. The layer's settings must have passed output_shape.
Shape weight_shape(const Conv2d& layer);
/// [out, in].
Shape weight_shape(const Linear& layer);

/// True if the product of the dimensions, all positive, is at most kMaxElements.
bool fits_in_a_tensor(const Shape& shape);

}  // namespace convoy
