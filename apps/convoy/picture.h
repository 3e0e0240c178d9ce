// From a picture file to what a model was trained on (apps/README.md says what is done to it and why).
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "engine/core/shape.h"

namespace convoy {

/// Brightness planes, 0 (black) to 1 (white).
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

/// Reads PNG, JPEG, BMP, GIF, TGA, PSD, HDR or PNM in 1 (grey) or 3 (red, green, blue) channels; what is
/// transparent becomes white. Throws Error that names the file: unreadable, broken, or of more than 64
/// megapixels.
Picture read_picture(const std::filesystem::path& file, std::size_t channels);

/// Averages over areas where the picture shrinks, interpolates where it grows.
Picture resize(const Picture& picture, std::size_t height, std::size_t width);

/// How a picture is fitted into a model's input.
enum class Framing {
  digit,  // grey only: white ink on black, cut out, scaled and centred as MNIST's digits are
  whole,  // all of it, stretched; grey is inverted if its border is light
};

/// The model's input, [C, H, W] as bytes. Throws Error that names the file, also for a digit that is nowhere
/// because the picture has one colour.
std::vector<std::uint8_t> model_input(const std::filesystem::path& file, const Shape& image, Framing framing);

}  // namespace convoy
