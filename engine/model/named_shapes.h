// Whether tensors are a model's state, told by their names and shapes alone: nothing is allocated for them.
#pragma once

#include <string>
#include <vector>

#include "convoy/model.h"
#include "convoy/shape.h"

namespace convoy {

struct NamedShape {
  std::string name;  // as a file has it: "module.fc.weight"
  Shape shape;
};

/// Whether match_state (convoy/state.h) would bring tensors of these names and shapes to the model.
bool is_state_of(const Model& model, std::vector<NamedShape> tensors);

}  // namespace convoy
