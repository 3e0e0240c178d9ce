// Tells the drawing of a picture from dust, frames, lines and what reaches in from outside.
#pragma once

#include <string>

#include "apps/convoy/ink.h"
#include "engine/data/pictures/picture.h"

namespace convoy {

/// A drawing that was cut out of a picture.
struct Drawing {
  Picture ink;           // [1, H, W], its rectangle: 0 is paper, 1 the darkest ink
  std::string left_out;  // what of the picture is not part of it, to be told; empty if nothing
  std::string note;      // why it may be the wrong one, to be told; mostly empty
};

/// Finds the drawing. Ink is cut into connected parts. Left out are those that touch the picture's border,
/// frames about others, lines across the picture, bars under or beside a digit, and what is small and far
/// from the largest part that is left. If nothing is left but a part at the border, it is that; else a line
/// that ends within the picture, or a part that is small against the picture, if it is alone. Throws Error
/// without the file's name if nothing stands out from the paper.
Drawing cut_out(const Ink& ink);

}  // namespace convoy
