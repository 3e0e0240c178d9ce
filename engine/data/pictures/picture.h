// A picture in memory, and its scaling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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

  std::size_t pixels() const { return height * width; }
  std::size_t shorter_side() const { return height < width ? height : width; }
};

/// Scales a picture. An axis that shrinks is averaged over areas, one that grows is interpolated linearly.
Picture resize(const Picture& picture, std::size_t height, std::size_t width);

/// The largest part about the middle that has the proportions of height x width, but for less than a pixel.
Picture cropped(const Picture& picture, std::size_t height, std::size_t width);

/// Rounded to bytes, in the order of the values; what lies outside 0 to 1 counts as these.
std::vector<std::uint8_t> bytes_of(const Picture& picture);

/// The rows and columns of a picture exchanged.
Picture transposed(const Picture& picture);

}  // namespace convoy
