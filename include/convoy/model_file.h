/// @file
/// Models as JSON files; engine/model/README.md documents the format.
#pragma once

#include <filesystem>
#include <string>

#include "convoy/model.h"

namespace convoy {

/// Parses a model. Throws UsageError for malformed JSON, an unknown layer type or key, a missing value or one
/// of the wrong type, a name that appears twice, and shapes that do not fit. The message names `source`, the
/// layer and the key.
Model parse_model(const std::string& json, const std::string& source);

/// Reads and parses a file. Throws Error if it cannot be read, UsageError as parse_model.
Model load_model(const std::filesystem::path& file);

/// JSON text from which `parse_model` makes an equal model. Throws UsageError for a model that is not valid.
std::string to_json(const Model& model);

}  // namespace convoy
