// The arithmetic of stochastic gradient descent for one parameter, the same on the device and on the host.
#pragma once

#include "engine/core/host_device.h"

namespace convoy {

/// torch.optim.SGD without dampening: momentum as in Sutskever et al. (2013), weight decay added to the
/// gradient.
struct SgdOptions {
  float learning_rate = 1e-2f;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
  bool nesterov = false;  // needs a momentum
};

/// Updates the momentum buffer in place and returns the new parameter. A buffer that starts at zero holds the
/// gradient itself after the first update, which is PyTorch's special case for the first step.
HOST_DEVICE inline float sgd_update(float parameter, float gradient, float& buffer,
                                    const SgdOptions& options) {
  const float decayed = gradient + options.weight_decay * parameter;
  buffer = options.momentum * buffer + decayed;
  const float direction = options.nesterov ? decayed + options.momentum * buffer : buffer;
  return parameter - options.learning_rate * direction;
}

}  // namespace convoy
