// The kernel that varies images by more than a move, and what its draws are.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "kernels/affine_table.h"
#include "kernels/batch.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr std::uint32_t kCount = 6;
constexpr std::int64_t kRows = 9;  // longer than the order, which goes on at its start
constexpr std::int64_t kStep = 12;
constexpr std::int64_t kEpoch = 3;
constexpr RandomStream kRandom{.seed = 31, .stream = 5};

struct Image {
  std::int32_t channels, height, width;
};

std::vector<std::uint8_t> noise(const Image& image) {
  PhiloxSequence random({.seed = 3});
  std::vector<std::uint8_t> pixels(kCount * static_cast<std::size_t>(image.channels) *
                                   static_cast<std::size_t>(image.height * image.width));
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random.below(256));
  return pixels;
}

Elements run(const Image& image, const AugmentationOptions& options, const AffineTable* table, DType dtype,
             bool drawn, const Augmentation& view) {
  const auto pixels = noise(image);
  const std::vector<std::uint8_t> labels(kCount, 1);
  const std::vector<ChannelScale> scales(static_cast<std::size_t>(image.channels), {1.0f, 0.0f});
  std::vector<std::uint32_t> order(kCount);
  std::iota(order.begin(), order.end(), 0u);
  BatchCursor cursor{.position = 0, .length = kCount, .epoch = kEpoch, .arrived = 0};
  const BatchSource source = {.pixels = pixels.data(),
                              .labels = labels.data(),
                              .scales = scales.data(),
                              .order = order.data(),
                              .numbers = order.data(),
                              .cursor = &cursor,
                              .channels = image.channels,
                              .height = image.height,
                              .width = image.width};
  Elements images(dtype, kRows * image.channels * image.height * image.width);
  std::vector<std::int32_t> made(kRows);
  const std::int64_t step = kStep;
  assemble_batch(
      source, {.images = images.data(), .dtype = dtype, .labels = made.data(), .rows = kRows},
      {.options = options, .random = kRandom, .step = drawn ? &step : nullptr, .table = table, .view = view},
      {}, nullptr);
  EXPECT_EQ(cursor.position, kRows % kCount);
  return images;
}

/// A sample's draw by the words of its blocks, in real numbers.
struct Draw {
  double dy, dx, degrees, scale;
  bool flip;
  std::int32_t top, left;
};

Draw draw_of(std::uint32_t row, const AugmentationOptions& options, const Image& image) {
  const auto words = [](std::uint32_t first, std::uint32_t second, std::uint32_t third) {
    return philox(kRandom.seed, {{first, second, third, kRandom.stream}});
  };
  const auto part = [](std::uint32_t word, std::int32_t count) {
    return static_cast<std::int32_t>(std::floor(word / 4294967296.0 * count));
  };
  const Philox4 move = words(row, 0, kStep), more = words(row, 1, kStep), once = words(row % kCount, 1, 0);
  const bool odd = (once.word[0] >> 31) != 0;
  Draw draw{};
  draw.dy = part(move.word[0], 2 * options.max_shift + 1) - options.max_shift;
  draw.dx = part(move.word[1], 2 * options.max_shift + 1) - options.max_shift;
  draw.flip = options.flip == Flip::random ? (move.word[2] >> 31) != 0
                                           : options.flip == Flip::alternating && odd != (kEpoch % 2 == 1);
  draw.top = part(more.word[0], image.height) - options.cutout / 2;
  draw.left = part(more.word[1], image.width) - options.cutout / 2;
  draw.degrees = options.max_rotation * (part(more.word[2], 1025) / 512.0 - 1);
  draw.scale = 1 + options.max_scaling * (part(more.word[3], 1025) / 512.0 - 1);
  return draw;
}

/// The pixel of row `row` in real numbers: rotated clockwise about the middle, between four pixels.
double expected_pixel(const std::vector<std::uint8_t>& pixels, const Image& image, std::uint32_t row,
                      const AugmentationOptions& options, const Draw& draw, std::int32_t c, std::int32_t y,
                      std::int32_t x) {
  if (y >= draw.top && y < draw.top + options.cutout && x >= draw.left && x < draw.left + options.cutout) {
    return 0.0;
  }
  const auto mirrored = [](std::int32_t at, std::int32_t size) {
    const std::int32_t period = std::max(1, 2 * (size - 1));
    at = std::abs(at) % period;
    return at < size ? at : period - at;
  };
  const auto byte = [&](std::int32_t from_y, std::int32_t from_x) -> double {
    if (options.padding == Padding::reflect) {
      from_y = mirrored(from_y, image.height);
      from_x = mirrored(from_x, image.width);
    }
    if (from_y < 0 || from_y >= image.height || from_x < 0 || from_x >= image.width) return 0.0;
    if (draw.flip) from_x = image.width - 1 - from_x;
    const std::uint32_t sample = row % kCount;
    return pixels[static_cast<std::size_t>(
        ((static_cast<std::int32_t>(sample) * image.channels + c) * image.height + from_y) * image.width +
        from_x)];
  };
  const double angle = draw.degrees * std::numbers::pi / 180;
  const double middle_y = (image.height - 1) / 2.0, middle_x = (image.width - 1) / 2.0;
  const double v = y + draw.dy - middle_y, u = x + draw.dx - middle_x;
  const double from_y = middle_y + (std::cos(angle) * v - std::sin(angle) * u) / draw.scale;
  const double from_x = middle_x + (std::cos(angle) * u + std::sin(angle) * v) / draw.scale;
  const double top = std::floor(from_y), left = std::floor(from_x);
  const double down = from_y - top, right = from_x - left;
  const auto t = static_cast<std::int32_t>(top), l = static_cast<std::int32_t>(left);
  return (1 - down) * ((1 - right) * byte(t, l) + right * byte(t, l + 1)) +
         down * ((1 - right) * byte(t + 1, l) + right * byte(t + 1, l + 1));
}

TEST(VaryBatch, MakesWhatItsDrawsSay) {
  const AugmentationOptions cases[] = {
      {.max_shift = 2, .flip = Flip::random, .padding = Padding::reflect},
      {.flip = Flip::alternating},
      {.max_shift = 1, .cutout = 3},
      {.max_rotation = 180},
      {.padding = Padding::reflect, .max_scaling = 0.5},
      {.max_shift = 2, .flip = Flip::alternating, .cutout = 2, .max_rotation = 40, .max_scaling = 0.25}};
  for (const Image& image : {Image{1, 3, 3}, Image{3, 9, 5}, Image{2, 14, 14}}) {
    const auto pixels = noise(image);
    for (const AugmentationOptions& options : cases) {
      const AffineTable table = affine_table(options);
      const bool turns = needs_affine(options);
      // A coefficient is rounded to 2^-17 twice, the second time times an inverse scale of up to 2; it is
      // multiplied by at most 2 + 7 pixels, twice, and a weight is cut to 2^-12. A byte changes by at most
      // 255 a pixel each way, and is rounded.
      const double off = turns ? 0.5 + 2 * 255 * (2 * 9 * 1.5 * 0x1p-16 + 0x1p-12) : 0.0;
      for (const DType dtype : kDTypes) {
        SCOPED_TRACE(testing::Message()
                     << image.channels << "x" << image.height << "x" << image.width << ", shift "
                     << options.max_shift << ", cutout " << options.cutout << ", rotation "
                     << options.max_rotation << ", scaling " << options.max_scaling);
        const Elements images = in_every_order(
            [&] { return run(image, options, turns ? &table : nullptr, dtype, /*drawn=*/true, {}); });
        std::size_t at = 0;
        for (std::uint32_t row = 0; row < kRows; ++row) {
          const Draw draw = draw_of(row, options, image);
          for (std::int32_t y = 0; y < image.height; ++y) {
            for (std::int32_t x = 0; x < image.width; ++x) {
              for (std::int32_t c = 0; c < image.channels; ++c, ++at) {
                const double expected = expected_pixel(pixels, image, row, options, draw, c, y, x);
                ASSERT_NEAR(images[at], expected, off + images.rounding() * 256)
                    << "row " << row << ", channel " << c << " of " << y << ", " << x;
                if (dtype == DType::float32) {
                  ASSERT_EQ(images[at], std::round(images[at])) << "a byte";
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(VaryBatch, AViewIsNotDrawn) {
  const Image image{2, 5, 4};
  const auto pixels = noise(image);
  const AugmentationOptions options{.padding = Padding::reflect};
  const Augmentation view{.dy = 1, .dx = -1, .flip = true};
  const Elements images =
      in_every_order([&] { return run(image, options, nullptr, DType::float32, /*drawn=*/false, view); });
  const Draw draw{.dy = 1, .dx = -1, .degrees = 0, .scale = 1, .flip = true, .top = 0, .left = 0};
  std::size_t at = 0;
  for (std::uint32_t row = 0; row < kRows; ++row) {
    for (std::int32_t y = 0; y < image.height; ++y) {
      for (std::int32_t x = 0; x < image.width; ++x) {
        for (std::int32_t c = 0; c < image.channels; ++c, ++at) {
          ASSERT_EQ(images[at], expected_pixel(pixels, image, row, options, draw, c, y, x));
        }
      }
    }
  }
}

TEST(Variation, DrawsAreUniform) {
  constexpr std::int32_t kHeight = 5, kWidth = 7;
  constexpr int kDraws = 35000;
  const AugmentationOptions options{.cutout = 4, .max_rotation = 30, .max_scaling = 0.25};
  const AffineTable table = affine_table(options);
  std::array<std::array<int, kWidth>, kHeight> centres{};
  double degrees = 0, squares = 0, scales = 0, lowest = 1e9, highest = -1e9;
  for (std::uint32_t row = 0; row < kDraws; ++row) {
    Variation variation;
    draw_variation(kRandom, 1, row, options, &table, kHeight, kWidth, variation);
    ++centres.at(static_cast<std::size_t>(variation.top + 2))
          .at(static_cast<std::size_t>(variation.left + 2));
    const double cos = variation.affine.cos * 0x1p-16, sin = variation.affine.sin * 0x1p-16;
    const double angle = std::atan2(sin, cos) * 180 / std::numbers::pi, scale = 1 / std::hypot(cos, sin);
    degrees += angle;
    squares += angle * angle;
    scales += scale;
    lowest = std::min(lowest, scale);
    highest = std::max(highest, scale);
  }
  // Each of 35 pixels is expected 1000 times, with a deviation of 31; the largest of 35 is within 5 of them.
  for (const auto& line : centres) {
    for (const int count : line) EXPECT_NEAR(count, 1000, 158);
  }
  // A uniform angle in [-30, 30] has the deviation 17.3: that of the mean is 17.3 / 187.
  EXPECT_NEAR(degrees / kDraws, 0.0, 5 * 17.3 / 187);
  EXPECT_NEAR(std::sqrt(squares / kDraws), 17.32, 0.25);
  EXPECT_NEAR(scales / kDraws, 1.0, 5 * 0.1443 / 187);
  EXPECT_NEAR(lowest, 0.75, 1e-4);
  EXPECT_NEAR(highest, 1.25, 1e-4);
}

TEST(Variation, TheMiddleDrawChangesNothing) {
  const AffineTable table = affine_table({.max_rotation = 33.3, .max_scaling = 0.37});
  EXPECT_EQ(table.rotations[512].cos, 1 << 16);
  EXPECT_EQ(table.rotations[512].sin, 0);
  EXPECT_EQ(table.inverse_scales[512], 1 << 16);
  const AffineTable quarter = affine_table({.max_rotation = 90, .max_scaling = 0.5});
  EXPECT_EQ(quarter.rotations[0].cos, 0);
  EXPECT_EQ(quarter.rotations[0].sin, -(1 << 16));
  EXPECT_EQ(quarter.rotations[1024].sin, 1 << 16);
  EXPECT_EQ(quarter.inverse_scales[0], 2 << 16);
}

}  // namespace
}  // namespace convoy::kernels
