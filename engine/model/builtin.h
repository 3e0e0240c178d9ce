// The models that come with Convoy.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/model/model.h"

namespace convoy {

/// "convnet", "lenet5", "vgg-small", "resnet9".
std::span<const std::string_view> builtin_model_names();

/// A built-in model for images of shape [C, H, W]. Throws UsageError for an unknown name (and lists the known
/// ones) or for images too small for it.
Model builtin_model(const std::string& name, const Shape& image, std::int64_t classes);

}  // namespace convoy
