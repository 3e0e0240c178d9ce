// Between models and parsed JSON. Shapes are not looked at here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/model/model.h"

namespace convoy {

using Json = nlohmann::ordered_json;  // keys stay in the order in which people like to read them

/// Throws UsageError with `source`, the layer and the key for an unknown layer type or key and a missing or
/// ill-typed value. Recursion is as deep as the JSON is.
Model model_of_json(const Json& json, const std::string& source);

/// Every key of every layer, defaults included.
Json json_of_model(const Model& model);

}  // namespace convoy
