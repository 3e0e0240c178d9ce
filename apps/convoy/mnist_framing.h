// MNIST's framing of a digit.
#pragma once

#include "engine/data/pictures/picture.h"

namespace convoy {

/// Frames a drawing as in MNIST: scaled with its aspect kept into a box of 20 of the 28 pixels, and placed so
/// that its centre of mass is in the middle. `ink` is [1, H, W] and tight, 0 is paper and 1 ink. Strokes that
/// would be thinner than MNIST's thinnest are widened first, and the darkest ink becomes 1.
Picture frame_as_mnist(const Picture& ink, std::size_t height, std::size_t width);

}  // namespace convoy
