// Tells ink from paper, however the light falls.
#pragma once

#include <optional>

#include "engine/data/pictures/picture.h"

namespace convoy {

/// What is drawn on a picture.
struct Ink {
  Picture
      strength;  // [1, H, W]: 0 is paper, larger is ink. Dark ink: the part of the light it takes, up to 1
  float noise = 0.0f;  // standard deviation of the paper's strength
  bool dark = false;   // whether the ink is darker than the paper
};

/// Finds the ink of a picture with the channels of decode_picture. Parts that are transparent count as white,
/// or as black if nothing is to be seen on white. Brightness is luma, unless one colour shows far more.
/// `dark` says what the ink is; without it the border tells, or what lies further off a smooth ground. The
/// light is corrected by the ground about every pixel: a morphological closing with a window wider than
/// strokes, which keeps the edges of shadows. Throws Error without the file's name if the picture has one
/// colour.
Ink find_ink(const Picture& rgba, std::optional<bool> dark);

/// The largest value within `radius` pixels of each, in a square. Source: a sliding maximum over a monotone
/// queue, rows and then columns; linear in the number of pixels.
Picture dilated(const Picture& grey, std::size_t radius);

}  // namespace convoy
