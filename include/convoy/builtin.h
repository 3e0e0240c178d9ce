/// @file
/// The models that come with Convoy.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "convoy/model.h"

namespace convoy {

/// The names that builtin_model takes: "convnet", "lenet5", "vgg-small", "resnet9".
std::span<const std::string_view> builtin_model_names();

/// A built-in model for images of shape [C, H, W], with logits for that many classes. Throws UsageError for
/// an unknown name (the message lists the known ones), for images that are too small or too large, and for
/// less than one class.
Model builtin_model(const std::string& name, const Shape& image, std::int64_t classes);

}  // namespace convoy
