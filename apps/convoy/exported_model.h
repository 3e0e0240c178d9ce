// What an exported file says of its model beside the tensors, so that it can be used without any other file.
#pragma once

#include <filesystem>
#include <optional>

#include "apps/convoy/setup.h"
#include "convoy/safetensors.h"

namespace convoy {

/// The metadata of a safetensors file: `convoy.model` is the model's file (model.json) as text, with how its
/// training images were made where that is known. `format` is "pt", by which other libraries know that the
/// tensors are as PyTorch has them.
SafetensorsMetadata metadata_of(const TrainedModel& trained);

/// The model that a safetensors file names in this way; nothing if it does not, or is another kind of file.
/// Throws Error if the file cannot be read or is malformed, UsageError if what it says of the model is.
std::optional<Model> model_in_checkpoint(const std::filesystem::path& checkpoint);

}  // namespace convoy
