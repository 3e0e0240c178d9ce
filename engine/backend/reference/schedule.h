// The schedules of the learning rate straight from PyTorch's documentation, in double.
#pragma once

#include "engine/core/step_scalars.h"

namespace convoy::reference {

/// What PyTorch's optimizer.param_groups hold in one step.
struct ScheduledGroup {
  double lr = 0.0;
  double momentum = 0.0;  // SGD's, or Adam's beta1
};

/// In step `step`, 1 for the first.
ScheduledGroup group_at(const StepRule& rule, std::int64_t step);

}  // namespace convoy::reference
