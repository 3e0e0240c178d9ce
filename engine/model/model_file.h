// Models as JSON files; engine/model/README.md documents the format.
#pragma once

#include <filesystem>
#include <string>

#include "engine/model/model.h"

namespace convoy {

/// Parses a model. Throws UsageError with `source`, the layer and the key that is wrong: malformed JSON, an
/// unknown layer type or key, a missing or ill-typed value, a duplicate name, shapes that do not fit.
Model parse_model(const std::string& json, const std::string& source);

/// Reads and parses a file. Throws Error if it cannot be read.
Model load_model(const std::filesystem::path& file);

/// The JSON text that `parse_model` reads back to an equal model.
std::string to_json(const Model& model);

}  // namespace convoy
