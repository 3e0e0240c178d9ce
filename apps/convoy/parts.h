// The connected parts of the ink on a picture.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/data/pictures/picture.h"

namespace convoy {

/// A connected part, by the rectangle of its pixels. The ends belong to it.
struct Part {
  std::size_t top = 0, bottom = 0, left = 0, right = 0;
  std::size_t pixels = 0;
  std::size_t at_edges = 0;  // pixels that lie near the rectangle's edges: nearly all of a frame's

  std::size_t height() const { return bottom - top + 1; }
  std::size_t width() const { return right - left + 1; }
  std::size_t longer_side() const { return height() > width() ? height() : width(); }
};

/// The parts of a picture.
struct Parts {
  std::vector<Part> parts;
  std::vector<std::uint32_t>
      labels;  // [H, W]: 0, or 1 + the part to which a pixel or its surroundings belong
};

/// Finds the parts of what is at least `least`. Pixels that are at most two `reach` apart are connected. A
/// label's area reaches `reach` pixels further than its part.
Parts find_parts(const Picture& strength, float least, std::size_t reach);

/// How many pixels lie between two rectangles, along the axis where that is more.
std::size_t gap(const Part& a, const Part& b);

/// The smallest rectangle about both, with the pixels of both.
Part united(const Part& a, const Part& b);

}  // namespace convoy
