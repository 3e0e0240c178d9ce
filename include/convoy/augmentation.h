/// @file
/// How training images are varied.
#pragma once

#include <cstdint>

namespace convoy {

/// Random changes of training images, drawn anew for every sample of every step. The defaults change nothing.
struct AugmentationOptions {
  /// An image moves by up to that many pixels up or down and left or right. What moves in is black. From 0 to
  /// one less than the smaller side of the image.
  std::int32_t max_shift = 0;
  bool flip = false;  ///< left to right, with probability 1/2
};

}  // namespace convoy
