// Images that a file has as rows of pixels, without their shape.
#pragma once

#include <cstdint>

#include "convoy/catalog.h"
#include "engine/data/elements.h"

namespace convoy {

/// The shape [C, H, W] of images of so many pixels: the options', if they name one, else that of grey
/// squares. Fails if that is not possible.
Shape shape_of_row(std::int64_t pixels, const LoadOptions& options, const InputName& input);

}  // namespace convoy
