// Random small models: every layer type, residuals with and without projection, nested once, Flatten wherever
// shape inference takes it.
#pragma once

#include <cstdint>

#include "convoy/model.h"

namespace convoy {

/// Model `number`, always the same. It puts out two classes or more.
Model draw_model(std::uint32_t number);

}  // namespace convoy
