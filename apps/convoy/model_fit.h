// Which model a state dict is of, as its names and shapes say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "convoy/model.h"
#include "engine/io/contents.h"

namespace convoy {

/// Whether match_state would bring the tensors to that model, as their names and shapes say.
bool fits(const Model& model, const std::vector<StoredTensor>& tensors);

/// The built-in model that they fit: for images of 28 x 28 or 32 x 32 pixels, else for the smallest.
std::optional<Model> fitting_builtin(const std::vector<StoredTensor>& tensors);

}  // namespace convoy
