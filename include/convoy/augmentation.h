/// @file
/// How training images are varied.
#pragma once

#include <cstdint>

namespace convoy {

/// What is drawn anew for every sample of every step.
struct AugmentationOptions {
  std::int32_t max_shift = 0;  ///< pixels, up to which an image moves in either direction of both axes
  bool flip = false;           ///< left to right, with probability 1/2
};

}  // namespace convoy
