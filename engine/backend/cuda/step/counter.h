// The number of the step, on the device.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// The device-side step number. Throws UsageError if another backend made the counter.
const std::int64_t* device_step(const StepCounter& counter);

}  // namespace convoy::cuda
