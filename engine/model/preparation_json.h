// Converts a preparation to and from parsed JSON: the key `preparation` of model files and of run.json.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "convoy/preparation.h"

namespace convoy {

/// The words for framings and backgrounds, in the order of the enumerations.
std::span<const char* const> framing_names();
std::span<const char* const> background_names();

/// Throws UsageError for an unknown key or word and a value of the wrong type, and unless every deviation is
/// above 0. A key that is missing has its default. Messages begin with `where`.
Preparation preparation_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Writes every key, but names of classes only if there are any.
nlohmann::ordered_json json_of_preparation(const Preparation& preparation);

}  // namespace convoy
