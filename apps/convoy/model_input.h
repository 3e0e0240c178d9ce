// Makes the input of a model from a picture file. apps/README.md says how and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/preparation.h"
#include "convoy/shape.h"
#include "engine/data/pictures/picture_file.h"

namespace convoy {

/// What is done to pictures, where it is not to be as the model's training data say.
struct PictureOptions {
  std::optional<Framing> framing;
  std::optional<bool> invert;  // without it: if the picture's background is not that of the training data
  bool transpose = false;      // for a model that was trained on files whose images are transposed
};

/// A picture as a model takes it.
struct ModelInput {
  std::vector<std::uint8_t> pixels;  // [C, H, W]
  std::string how;                   // what was done: "framed as MNIST, inverted"
  std::string left_out;              // what of the picture was left out; empty if nothing
  std::string note;                  // what may be wrong about that; mostly empty
};

/// Decodes a picture and prepares it as a model's training images were. `image` is the shape of those. A
/// picture of that size is taken as it is, unless `options` name a framing or an inversion; for the data set
/// "mnist" it is inverted if its border is light. Throws Error that names the file
/// if it cannot be decoded, if nothing can be seen on what should be framed as MNIST, or if it should not be
/// scaled but has another size. Throws Error unless the model's images have 1 or 3 channels, UsageError for
/// MNIST's framing of images in colour.
ModelInput model_input(const PictureBytes& file, const Shape& image, const Preparation& preparation,
                       const PictureOptions& options);

}  // namespace convoy
