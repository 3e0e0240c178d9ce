// The exponential moving average of one value, the same on the device and on the host.
#pragma once

#include "engine/core/host_device.h"

namespace convoy {

/// torch.lerp(mean, value, weight) with the weight 1 - decay, as torch.optim.swa_utils averages: the end that
/// is nearer is what the difference is added to. A weight of 1 gives the value itself, whatever the mean.
HOST_DEVICE inline float moved_average(float mean, float value, float weight) {
  if (weight == 1.0f) return value;
  return weight < 0.5f ? mean + weight * (value - mean) : value - (value - mean) * (1.0f - weight);
}

}  // namespace convoy
