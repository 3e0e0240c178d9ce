// The reference backend: plain loops anyone can check by eye. Every other backend is compared with it.
#pragma once

#include <memory>

#include "engine/backend/backend.h"

namespace convoy {

/// Stores float, accumulates in double.
std::unique_ptr<Backend> make_reference_backend();

/// double throughout, for finite differences.
std::unique_ptr<Backend> make_double_reference_backend();

}  // namespace convoy
