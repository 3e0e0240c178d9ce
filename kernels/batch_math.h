// How a byte becomes an activation, the same on the device and on the host.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"
#include "kernels/augmentation_math.h"

namespace convoy {

/// One channel's way from byte to activation: (byte / 255 - mean) / std as one multiplication and one
/// addition, scale = 1 / (255 std), offset = -mean / std, rounded from double.
struct ChannelScale {
  float scale = 1.0f / 255.0f;
  float offset = 0.0f;
};

HOST_DEVICE inline float normalized(std::uint8_t byte, const ChannelScale& channel) {
#ifdef __CUDA_ARCH__  // rounded twice, as on the host: nvcc would make one operation of the two
  return __fadd_rn(__fmul_rn(static_cast<float>(byte), channel.scale), channel.offset);
#else
  return static_cast<float>(byte) * channel.scale + channel.offset;
#endif
}

}  // namespace convoy
