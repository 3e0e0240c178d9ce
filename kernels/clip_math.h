// Gradient clipping by norm, the same on the device and on the host.
#pragma once

#include "engine/core/host_device.h"

namespace convoy {

/// What a norm leaves behind, in the device's memory as two floats.
struct ClippedNorm {
  float norm = 0.0f;    // of all gradients
  float factor = 1.0f;  // by which an update multiplies each of them
};

/// torch.nn.utils.clip_grad_norm_'s coefficient, which is NaN for a norm that is.
HOST_DEVICE inline ClippedNorm clipped_norm(double norm, float max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return {static_cast<float>(norm), factor > 1.0 ? 1.0f : static_cast<float>(factor)};
}

}  // namespace convoy
