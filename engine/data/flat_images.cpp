#include "engine/data/flat_images.h"

#include <fmt/format.h>

#include <cmath>

namespace convoy {

Shape shape_of_row(std::int64_t pixels, const LoadOptions& options, const InputName& input) {
  std::int64_t plane = 0;
  if (options.height > 0 && !__builtin_mul_overflow(options.height, options.width, &plane)) {
    for (const std::int64_t channels : {1, 3}) {
      const bool asked = options.channels == 0 || options.channels == channels;
      if (asked && pixels % channels == 0 && pixels / channels == plane) {
        return {channels, options.height, options.width};
      }
    }
    input.fail(fmt::format("rows of {} pixels are no images of {} x {} pixels{}", pixels, options.height,
                           options.width,
                           options.channels > 0 ? fmt::format(" in {} channels", options.channels) : ""));
  }
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(pixels))));
  if (pixels < 1 || side * side != pixels) {
    input.fail(fmt::format(
        "rows of {} pixels are no square grey images: name their shape, as --image-size 3x32x32 for "
        "colour images, channel by channel",
        pixels));
  }
  return {1, side, side};
}

}  // namespace convoy
