// The number of the step and its scalars, on the device.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// The scalars in the device's memory. Throws UsageError if another backend made the counter.
const StepScalars* device_scalars(const StepCounter& counter);
StepScalars* device_scalars(StepCounter& counter);

/// What they follow from, likewise.
const StepTable* device_table(const StepCounter& counter);

/// The step's number among them.
const std::int64_t* device_step(const StepCounter& counter);

}  // namespace convoy::cuda
