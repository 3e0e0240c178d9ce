// The reference backend: plain loops anyone can check by eye. Every other backend is compared with it.
#pragma once

#include <memory>

#include "convoy/device.h"
#include "engine/backend/backend.h"

namespace convoy {

/// Stores float, accumulates in double. Throws UsageError for a precision but fp32.
std::unique_ptr<Backend> make_reference_backend(const DeviceOptions& options = {});

/// double throughout, for finite differences.
std::unique_ptr<Backend> make_double_reference_backend();

}  // namespace convoy
