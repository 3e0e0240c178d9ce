/// @file
/// Models as JSON files:
///
///     {"name": "tiny", "input": [1, 28, 28], "layers": [
///       {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 8, "kernel_size": [3, 3]},
///       {"name": "flatten", "type": "Flatten"},
///       {"name": "fc", "type": "Linear", "in_features": 5408, "out_features": 10}]}
///
/// A layer's `type` is its kTypeName (see layers.h). Its other keys are the members of that struct, with
/// their defaults. Those that torch.nn requires are required. An Extent may also be one number for both axes.
/// A model that was trained may say how its images were made (see preparation.h):
///
///     "preparation": {"dataset": "mnist", "mean": [0.1307], "std": [0.3081], "framing": "mnist",
///                     "background": "dark", "transposed": false}
#pragma once

#include <filesystem>
#include <string>

#include "convoy/model.h"

namespace convoy {

/// Parses a model. `source` is what messages call the text, such as the name of its file. Throws UsageError
/// for malformed JSON, an unknown layer type or key, a missing value or one of the wrong type, a name that
/// appears twice, and shapes that do not fit. The message names `source`, the layer and the key.
Model parse_model(const std::string& json, const std::string& source);

/// Reads and parses a file of at most 1 MiB. Throws Error if it cannot be read, UsageError as parse_model.
Model load_model(const std::filesystem::path& file);

/// JSON text from which `parse_model` makes an equal model. Throws UsageError for a model that is not valid.
std::string to_json(const Model& model);

}  // namespace convoy
