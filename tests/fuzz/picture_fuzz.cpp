// A picture, prepared for a model of MNIST's images and for one of colour images.
#include <stb_image.h>

#include <algorithm>

#include "apps/convoy/model_input.h"
#include "engine/data/pictures/picture_claim.h"
#include "tests/fuzz/fuzz.h"

using namespace convoy;

namespace {

struct Extent {
  int width = 0, height = 0;
  std::int64_t pixels() const { return std::int64_t{width} * height; }
};

/// What a picture is decoded to: what its header claims, if it is believed.
Extent believed_extent(const std::uint8_t* data, std::size_t size) {
  Extent extent;
  int channels = 0;
  try {
    require_sound({data, size});
    if (stbi_info_from_memory(data, static_cast<int>(size), &extent.width, &extent.height, &channels) == 0) {
      return {};
    }
    require_plausible({data, size}, extent.width, extent.height);
  } catch (const Error&) {
    return {};
  }
  return extent;
}

void prepare(const fuzz::MemoryFile& file, const Shape& image, Framing framing, const fuzz::Bound& bound,
             std::size_t size) {
  Preparation preparation;
  preparation.framing = framing;
  preparation.background = Background::dark;
  ModelInput input;
  if (!fuzz::accepts(size, bound,
                     [&] { input = model_input(read_picture_bytes(file.path()), image, preparation, {}); }))
    return;
  fuzz::require(std::ssize(input.pixels) == image.count(), "there are as many pixels as the model takes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Decoding more takes long and shows nothing new. Sides of more than kLongestSide are still among them.
  constexpr std::int64_t kMostPixels = 1 << 16;
  // What looks for a digit takes a margin of a fifth of the longer side.
  constexpr int kLongestDrawing = 200;
  const Extent extent = believed_extent(data, size);
  if (extent.pixels() > kMostPixels) return 0;
  // The decoder holds a picture up to three times, at four samples of 16 bits, and what looks for a digit
  // some twenty planes of floats on twice the area. A GIF's tables and the margin of a narrow picture are
  // constant.
  const fuzz::Bound bound{.per_byte = 16,
                          .constant = (4 << 20) + 256 * static_cast<std::size_t>(extent.pixels())};
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  if (std::max(extent.width, extent.height) <= kLongestDrawing) {
    prepare(file, {1, 28, 28}, Framing::mnist, bound, size);
  }
  prepare(file, {3, 32, 32}, Framing::fit, bound, size);
  return 0;
}
