// The arithmetic of stochastic gradient descent for one parameter, the same on the device and on the host.
#pragma once

#include "engine/core/host_device.h"
#include "engine/core/step_scalars.h"

namespace convoy {

/// Updates the momentum buffer in place and returns the new parameter. A buffer that starts at zero holds the
/// gradient itself after the first update, which is PyTorch's special case for the first step.
HOST_DEVICE inline float sgd_update(float parameter, float gradient, float& buffer,
                                    const StepScalars& scalars, const SgdOptions& options) {
  const float decayed = gradient + options.weight_decay * parameter;
  buffer = scalars.momentum * buffer + decayed;
  const float direction = options.nesterov ? decayed + scalars.momentum * buffer : buffer;
  return parameter - scalars.learning_rate * direction;
}

}  // namespace convoy
