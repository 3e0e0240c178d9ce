// The running mean of one parameter, the same on the device and on the host.
#pragma once

#include "engine/core/host_device.h"

namespace convoy {

/// The mean of `count` values, from the mean of those before and the last: torch.optim.swa_utils' default, in
/// its precision. Each call rounds the mean once, so the mean of n values errs by less than n / 2 roundings.
HOST_DEVICE inline float averaged(float mean, float value, float count) {
  return count == 1.0f ? value : mean + (value - mean) / count;
}

}  // namespace convoy
