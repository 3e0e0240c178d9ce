// In which order the elements of a tensor lie in memory, for the device and the host alike.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"

namespace convoy::kernels {

/// Each row of a tensor (its first dimension) is counted as [channels, plane] and lies in memory as
/// [plane, channels]. So images [N, C, H, W] lie as N,H,W,C (plane = H W), and so do rows [N, C H W] that
/// were flattened from them. Where channels or plane is 1 this is row-major.
struct MemoryOrder {
  std::int64_t channels = 1;
  std::int64_t plane = 1;

  bool row_major() const { return channels == 1 || plane == 1; }
  bool operator==(const MemoryOrder& other) const {
    return (row_major() && other.row_major()) || (channels == other.channels && plane == other.plane);
  }

  /// The index in row-major order of the element that lies at `at`.
  HOST_DEVICE std::int64_t index_at(std::int64_t at) const {
    const std::int64_t begin = at - at % (channels * plane);  // of its row
    return begin + (at - begin) % channels * plane + (at - begin) / channels;
  }
  /// The place of the element with that row-major index.
  HOST_DEVICE std::int64_t place_of(std::int64_t index) const {
    const std::int64_t begin = index - index % (channels * plane);
    return begin + (index - begin) % plane * channels + (index - begin) / plane;
  }
};

}  // namespace convoy::kernels
