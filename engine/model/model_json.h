// Converts models to and from parsed JSON. Shapes are not checked here.
#pragma once

#include <string>

#include "convoy/model.h"
#include "engine/model/json_text.h"

namespace convoy {

/// Throws UsageError for an unknown layer type or key, and for a missing value or one of the wrong type. The
/// message names `source`, the layer and the key. Recurses as deep as the JSON is nested.
Model model_of_json(const Json& json, const std::string& source);

/// Writes every key of every layer, also those with default values.
Json json_of_model(const Model& model);

}  // namespace convoy
