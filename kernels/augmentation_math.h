// What an image of a batch becomes, pixel by pixel, the same on the device and on the host: in integers, so
// that no rounding depends on who computes. Places between pixels are in 2^-17 pixels, coefficients in 2^-16.
#pragma once

#include <cstdint>

#include "convoy/augmentation.h"
#include "engine/core/host_device.h"
#include "engine/core/philox.h"

namespace convoy {

/// How an image moves: pixel (y, x) of the result is pixel (y + dy, x + dx) of the (then flipped) image.
struct Augmentation {
  std::int32_t dy = 0;
  std::int32_t dx = 0;
  bool flip = false;
};

/// The draw of `row` of the batch at `step`: one Philox block with the counter (random.first + row, 0, step,
/// stream). Word 0 gives dy and word 1 dx: floor(word (2 max_shift + 1) / 2^32) - max_shift; the top bit of
/// word 2 flips, if flips are random.
HOST_DEVICE inline Augmentation augmentation_at(RandomStream random, std::uint32_t step, std::uint32_t row,
                                                const AugmentationOptions& options) {
  const auto place = static_cast<std::uint32_t>(random.first + row);
  const Philox4 draw = philox(random.seed, {{place, 0, step, random.stream}});
  const auto range = 2ull * static_cast<std::uint32_t>(options.max_shift) + 1;
  return {static_cast<std::int32_t>(draw.word[0] * range >> 32) - options.max_shift,
          static_cast<std::int32_t>(draw.word[1] * range >> 32) - options.max_shift,
          options.flip == Flip::random && (draw.word[2] >> 31) != 0};
}

/// Whether a sample is flipped where flips alternate: the top bit of word 0 of the block (sample, 1, 0,
/// stream), and the other in every second epoch.
HOST_DEVICE inline bool alternating_flip(RandomStream random, std::uint32_t sample, std::int64_t epoch) {
  const Philox4 draw = philox(random.seed, {{sample, 1, 0, random.stream}});
  return ((draw.word[0] >> 31) + static_cast<std::uint32_t>(epoch)) % 2 != 0;
}

/// 2^16 cos and 2^16 sin of an angle, rounded.
struct Rotation {
  std::int32_t cos = 1 << 16;
  std::int32_t sin = 0;
};

constexpr std::uint32_t kAffineDraws = 1025;  // odd, so that the middle one changes nothing

/// The rotations and scalings that can be drawn, evenly spaced. Made on the host (kernels/affine_table.h): a
/// device's sine may be another.
struct AffineTable {
  Rotation rotations[kAffineDraws];
  std::int32_t inverse_scales[kAffineDraws];  // in 2^-16
};

/// All that may happen to an image beyond a move.
struct Variation : Augmentation {
  Rotation affine;       // divided by the scale
  std::int32_t top = 0;  // of the square that is cut out
  std::int32_t left = 0;

  HOST_DEVICE bool cuts(std::int32_t y, std::int32_t x, std::int32_t side) const {
    return y >= top && y < top + side && x >= left && x < left + side;
  }
};

/// Draws what augmentation_at does not, from the block (random.first + row, 1, step, stream): words 0 and 1
/// give the pixel in the middle of the square, floor(word size / 2^32); from which side / 2 go up and left.
/// Words 2 and 3 are the numbers of the rotation and of the scaling, floor(word 1025 / 2^32).
HOST_DEVICE inline void draw_variation(RandomStream random, std::uint32_t step, std::uint32_t row,
                                       const AugmentationOptions& options, const AffineTable* table,
                                       std::int32_t height, std::int32_t width, Variation& variation) {
  const auto place = static_cast<std::uint32_t>(random.first + row);
  const Philox4 draw = philox(random.seed, {{place, 1, step, random.stream}});
  const auto below = [](std::uint32_t word, std::uint32_t count) {
    return static_cast<std::uint32_t>(std::uint64_t{word} * count >> 32);
  };
  const std::int32_t half = options.cutout / 2;
  variation.top = static_cast<std::int32_t>(below(draw.word[0], static_cast<std::uint32_t>(height))) - half;
  variation.left = static_cast<std::int32_t>(below(draw.word[1], static_cast<std::uint32_t>(width))) - half;
  if (!table) return;
  const Rotation& rotation = table->rotations[below(draw.word[2], kAffineDraws)];
  const std::int64_t inverse = table->inverse_scales[below(draw.word[3], kAffineDraws)];
  constexpr std::int64_t kHalf = 1 << 15;
  variation.affine = {static_cast<std::int32_t>((rotation.cos * inverse + kHalf) >> 16),
                      static_cast<std::int32_t>((rotation.sin * inverse + kHalf) >> 16)};
}

/// One channel of an image, and what lies around it.
struct ImagePlane {
  const std::uint8_t* pixels;  // [height, width]
  std::int32_t height;
  std::int32_t width;
  bool flip;
  Padding padding;

  /// Mirrored at the outermost pixels as often as it takes.
  HOST_DEVICE static std::int32_t reflected(std::int32_t place, std::int32_t size) {
    if (size == 1) return 0;
    while (place < 0 || place >= size) place = place < 0 ? -place : 2 * (size - 1) - place;
    return place;
  }

  HOST_DEVICE std::uint32_t at(std::int32_t y, std::int32_t x) const {
    if (static_cast<std::uint32_t>(y) >= static_cast<std::uint32_t>(height) ||
        static_cast<std::uint32_t>(x) >= static_cast<std::uint32_t>(width)) {
      if (padding == Padding::zeros) return 0;
      y = reflected(y, height);
      x = reflected(x, width);
    }
    return pixels[static_cast<std::int64_t>(y) * width + (flip ? width - 1 - x : x)];
  }

  /// Pixel (y, x) of the image after it was turned about its middle, clockwise, and scaled: bilinear between
  /// four pixels, by weights in 2^-12, rounded to a byte.
  HOST_DEVICE std::uint32_t turned(const Rotation& affine, std::int32_t y, std::int32_t x) const {
    const std::int32_t u = 2 * x - (width - 1), v = 2 * y - (height - 1);  // from the middle, in half pixels
    const std::int32_t from_y = affine.cos * v - affine.sin * u + (height - 1) * (1 << 16);
    const std::int32_t from_x = affine.cos * u + affine.sin * v + (width - 1) * (1 << 16);
    const std::int32_t top = from_y >> 17, left = from_x >> 17;
    const std::uint32_t down = static_cast<std::uint32_t>(from_y) >> 5 & 4095u;
    const std::uint32_t right = static_cast<std::uint32_t>(from_x) >> 5 & 4095u;
    const std::uint32_t upper = (4096u - right) * at(top, left) + right * at(top, left + 1);
    const std::uint32_t lower = (4096u - right) * at(top + 1, left) + right * at(top + 1, left + 1);
    return ((4096u - down) * upper + down * lower + (1u << 23)) >> 24;  // below 2^32: 4096^2 255 + 2^23
  }
};

/// True if images are varied by more than a move that leaves black behind.
inline bool needs_variation(const AugmentationOptions& options) {
  return options.padding == Padding::reflect || options.flip == Flip::alternating || options.cutout > 0 ||
         options.max_rotation > 0.0 || options.max_scaling > 0.0;
}

}  // namespace convoy
