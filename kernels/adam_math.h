// Adam's arithmetic for one parameter, the same on the device and on the host.
#pragma once

#include <cmath>

#include "engine/core/host_device.h"
#include "engine/core/step_scalars.h"

namespace convoy {

/// Updates the moments in place and returns the new parameter.
HOST_DEVICE inline float adam_update(float parameter, float gradient, float& first, float& second,
                                     const StepScalars& scalars, const AdamOptions& options) {
  if (options.decoupled_weight_decay) {
    parameter *= 1.0f - scalars.learning_rate * options.weight_decay;
  } else {
    gradient += options.weight_decay * parameter;
  }
  first += (1.0f - scalars.beta1) * (gradient - first);
  second += (1.0f - options.beta2) * (gradient * gradient - second);
  return parameter -
         scalars.step_size * first / (std::sqrt(second) * scalars.inverse_sqrt_bias2 + options.epsilon);
}

}  // namespace convoy
