// How a byte becomes an activation and how an image is shifted and flipped, the same on the device and on the
// host.
#pragma once

#include <cstdint>

#include "convoy/augmentation.h"
#include "engine/core/host_device.h"
#include "engine/core/philox.h"

namespace convoy {

/// One sample's draw: pixel (y, x) of the result is pixel (y + dy, x + dx) of the (then flipped) image;
/// beyond its edge lies the byte 0.
struct Augmentation {
  std::int32_t dy = 0;
  std::int32_t dx = 0;
  bool flip = false;
};

/// The draw of `row` of the batch at `step`: one Philox block with the counter (random.first + row, 0, step,
/// stream). Word 0 gives dy and word 1 dx: floor(word (2 max_shift + 1) / 2^32) - max_shift; the top bit of
/// word 2 flips.
HOST_DEVICE inline Augmentation augmentation_at(RandomStream random, std::uint32_t step, std::uint32_t row,
                                                const AugmentationOptions& options) {
  const auto place = static_cast<std::uint32_t>(random.first + row);
  const Philox4 draw = philox(random.seed, {{place, 0, step, random.stream}});
  const auto range = 2ull * static_cast<std::uint32_t>(options.max_shift) + 1;
  return {static_cast<std::int32_t>(draw.word[0] * range >> 32) - options.max_shift,
          static_cast<std::int32_t>(draw.word[1] * range >> 32) - options.max_shift,
          options.flip && (draw.word[2] >> 31) != 0};
}

/// One channel's way from byte to activation: (byte / 255 - mean) / std as one multiplication and one
/// addition, scale = 1 / (255 std), offset = -mean / std, rounded from double.
struct ChannelScale {
  float scale = 1.0f / 255.0f;
  float offset = 0.0f;
};

HOST_DEVICE inline float normalized(std::uint8_t byte, const ChannelScale& channel) {
  return static_cast<float>(byte) * channel.scale + channel.offset;
}

}  // namespace convoy
