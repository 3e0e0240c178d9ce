// Makes the input of a model from a picture file. apps/README.md says how and why.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "convoy/shape.h"

namespace convoy {

/// One plane of brightness for each channel, from 0 (black) to 1 (white).
struct Picture {
  std::size_t channels = 0;
  std::size_t height = 0;
  std::size_t width = 0;
  std::vector<float> values;  // [channels, height, width]

  Picture(std::size_t c, std::size_t h, std::size_t w)
      : channels(c), height(h), width(w), values(c * h * w) {}
  float& at(std::size_t c, std::size_t y, std::size_t x) { return values[(c * height + y) * width + x]; }
  float at(std::size_t c, std::size_t y, std::size_t x) const { return values[(c * height + y) * width + x]; }
};

/// Reads PNG, JPEG, BMP, GIF, TGA, PSD, HDR or PNM into 1 (grey) or 3 (red, green, blue) channels.
/// Transparent parts become white. Throws Error that names the file if it cannot be read, is broken, or has
/// more than 64 megapixels.
Picture read_picture(const std::filesystem::path& file, std::size_t channels);

/// Scales a picture. An axis that shrinks is averaged over areas, one that grows is interpolated linearly.
Picture resize(const Picture& picture, std::size_t height, std::size_t width);

/// How a picture is fitted into a model's input.
enum class Framing {
  digit,  // grey: made white on black, cut out, scaled and centred as in MNIST; colour: as `whole`
  whole,  // the whole picture, stretched; a grey one is inverted if its border is light
};

/// The model's input, [C, H, W], as bytes. Throws Error that names the file if it cannot be read, or if it
/// should show a digit but has only one colour. Throws Error unless the model's images have 1 or 3 channels.
std::vector<std::uint8_t> model_input(const std::filesystem::path& file, const Shape& image, Framing framing);

}  // namespace convoy
