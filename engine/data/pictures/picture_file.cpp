#include "engine/data/pictures/picture_file.h"

#include <fmt/format.h>
#include <stb_image.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/core/lower_case.h"
#include "engine/core/standard_input.h"
#include "engine/data/pictures/exif.h"
#include "engine/data/pictures/picture_claim.h"

namespace convoy {
namespace {

constexpr std::int64_t kMostPixels = 64 << 20;
constexpr std::int64_t kMostPixelBytes = 8;  // four channels of 16 bits, which is more than any file needs

// Of the formats that stb_image reads.
constexpr auto kEndings = std::to_array<std::string_view>(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tga", ".psd", ".pnm", ".pgm", ".ppm"});

using Bytes = std::span<const unsigned char>;

[[noreturn]] void refuse_size(const std::string& name, std::int64_t bytes) {
  throw Error(fmt::format("{}: a picture of {} bytes cannot be read", name, bytes));
}

/// A format that stb_image does not read, by the bytes at an offset.
struct Foreign {
  std::size_t offset;
  std::string_view bytes;
  const char* name;
};

constexpr Foreign kForeign[] = {{8, "WEBP", "WebP"},
                                {4, "ftypavif", "AVIF"},
                                {4, "ftypavis", "AVIF"},
                                {4, "ftyphei", "HEIC (of an iPhone, say)"},
                                {4, "ftyphev", "HEIC (of an iPhone, say)"},
                                {4, "ftypmif1", "HEIF"},
                                {4, "ftypmsf1", "HEIF"},
                                {0, {"II*\0", 4}, "TIFF"},
                                {0, {"MM\0*", 4}, "TIFF"},
                                {0, "%PDF", "PDF"},
                                {0, "<svg", "SVG"},
                                {0, "<?xml", "SVG or other XML"},
                                {0, {"\0\0\0\x0cJXL ", 8}, "JPEG XL"},
                                {0, "\xff\x0a", "JPEG XL"},
                                {0, {"\0\0\0\x0cjP  ", 8}, "JPEG 2000"},
                                {0, {"\0\0\1\0", 4}, "an icon (ICO)"},
                                {0, "#?RADIANCE", "Radiance HDR"},
                                {0, "#?RGBE", "Radiance HDR"}};

[[noreturn]] void refuse(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const auto& [offset, magic, name] : kForeign) {
    if (text.size() < offset || !text.substr(offset).starts_with(magic)) continue;
    throw Error(
        fmt::format("the content is {}, which is not read, whatever the file's name; save it as PNG", name));
  }
  throw Error(fmt::format("not a picture that can be read: {}", stbi_failure_reason()));
}

/// The samples of a file as they came out of the decoder, which is not asked to add channels: for PNM of 16
/// bits it would read behind them (stb_image 2.27).
template <typename Sample>
struct Samples {
  std::unique_ptr<Sample, decltype(&stbi_image_free)> values{nullptr, &stbi_image_free};
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;  // grey, grey and opacity, red, green and blue, or those and opacity
  float largest = std::numeric_limits<Sample>::max();  // which becomes 1

  bool has_opacity() const { return channels % 2 == 0; }
  std::size_t colours() const { return channels - (has_opacity() ? 1 : 0); }
};

template <typename Sample>
Samples<Sample> decode(const std::string& name, Bytes bytes) {
  int width = 0, height = 0, found = 0;
  const auto size = static_cast<int>(bytes.size());
  Samples<Sample> samples;
  if constexpr (sizeof(Sample) == 2) {
    samples.values.reset(stbi_load_16_from_memory(bytes.data(), size, &width, &height, &found, 0));
  } else {
    samples.values.reset(stbi_load_from_memory(bytes.data(), size, &width, &height, &found, 0));
  }
  if (!samples.values) {
    throw Error(fmt::format("{}: the picture is broken: {}", name, stbi_failure_reason()));
  }
  samples.height = static_cast<std::size_t>(height);
  samples.width = static_cast<std::size_t>(width);
  samples.channels = static_cast<std::size_t>(found);
  return samples;
}

/// The largest colour that a picture of 16 bits can be meant to have. Cameras and scanners store 10, 12 or 14
/// bits as they are. 8 bits that were widened are multiples of 257, and fill the range however dark they are.
float meant_largest(const Samples<stbi_us>& samples) {
  unsigned largest = 0;
  bool widened = true;
  for (std::size_t i = 0; i < samples.height * samples.width; ++i) {
    for (std::size_t c = 0; c < samples.colours(); ++c) {
      const unsigned value = samples.values.get()[samples.channels * i + c];
      largest = std::max(largest, value);
      widened = widened && value % 257 == 0;
    }
  }
  if (widened) return samples.largest;
  for (const unsigned bits : {10u, 12u, 14u}) {
    if (largest < 1u << bits) return static_cast<float>((1u << bits) - 1);
  }
  return samples.largest;
}

/// Averages squares of pixels, so that no side is twice kLongestSide. Less than a square at the end is left
/// out.
template <typename Sample>
Picture averaged(const Samples<Sample>& samples) {
  const std::size_t step = std::max<std::size_t>(1, std::max(samples.height, samples.width) / kLongestSide);
  const std::size_t rows = std::min(step, samples.height), columns = std::min(step, samples.width);
  Picture picture(4, samples.height / rows, samples.width / columns);
  for (std::size_t y = 0; y < picture.height * rows; ++y) {
    for (std::size_t x = 0; x < picture.width * columns; ++x) {
      const Sample* pixel = samples.values.get() + samples.channels * (y * samples.width + x);
      const auto alpha =
          samples.has_opacity() ? pixel[samples.channels - 1] : std::numeric_limits<Sample>::max();
      const float opacity = static_cast<float>(alpha) / std::numeric_limits<Sample>::max();
      for (std::size_t c = 0; c < 3; ++c) {
        const Sample colour = pixel[std::min(c, samples.colours() - 1)];  // grey is all three
        picture.at(c, y / rows, x / columns) += opacity * (static_cast<float>(colour) / samples.largest);
      }
      picture.at(3, y / rows, x / columns) += opacity;
    }
  }
  if (rows * columns > 1) {
    for (float& value : picture.values) value /= static_cast<float>(rows * columns);
  }
  return picture;
}

/// Mirrors every row.
Picture mirrored(const Picture& picture) {
  Picture result = picture;
  for (std::size_t row = 0; row < picture.channels * picture.height; ++row) {
    const auto begin = result.values.begin() + static_cast<std::ptrdiff_t>(row * picture.width);
    std::reverse(begin, begin + static_cast<std::ptrdiff_t>(picture.width));
  }
  return result;
}

/// Turns a picture as its EXIF orientation asks for. Orientations 5 to 8 are 1 to 4 behind a transposition,
/// and each of those is made of mirrored rows and mirrored columns, which are rows of the transposed picture.
Picture upright(Picture picture, int orientation) {
  const bool transpose = orientation >= 5;
  if (transpose) picture = transposed(picture);
  if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7)
    picture = mirrored(picture);
  if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8) {
    picture = transposed(mirrored(transposed(picture)));
  }
  return picture;
}

Picture on_ground(const Picture& rgba, float ground) {
  Picture rgb(3, rgba.height, rgba.width);
  const std::size_t count = rgba.pixels();
  for (std::size_t i = 0; i < rgb.values.size(); ++i) {
    const float opacity = rgba.values[3 * count + i % count];
    rgb.values[i] = rgba.values[i] + (1.0f - opacity) * ground;
  }
  return rgb;
}

}  // namespace

PictureBytes read_picture_bytes(const std::filesystem::path& file) {
  constexpr std::int64_t kMostBytes = std::numeric_limits<int>::max();
  InputFile input(file);
  if (input.bytes() == 0 || input.bytes() > kMostBytes) refuse_size(file.string(), input.bytes());
  return {file.string(), input.read_text(kMostBytes)};
}

PictureBytes read_picture_from_standard_input() {
  PictureBytes input = {"standard input", read_standard_input(kMostPixels * kMostPixelBytes)};
  if (input.bytes.empty()) refuse_size(input.name, 0);
  return input;
}

Picture decode_picture(const PictureBytes& file) {
  const Bytes bytes(reinterpret_cast<const unsigned char*>(file.bytes.data()), file.bytes.size());
  const auto size = static_cast<int>(bytes.size());
  int width = 0, height = 0, found = 0;
  try {
    require_sound(bytes);
    if (stbi_info_from_memory(bytes.data(), size, &width, &height, &found) == 0) refuse(bytes);
    if (std::int64_t{width} * height > kMostPixels) {
      throw Error(fmt::format("{} x {} pixels are too many; scale it down", width, height));
    }
    require_plausible(bytes, width, height);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.name, error.what()));
  }
  const int orientation = exif_orientation(bytes);
  if (stbi_is_16_bit_from_memory(bytes.data(), size) == 0) {
    return upright(averaged(decode<stbi_uc>(file.name, bytes)), orientation);
  }
  if (bytes[0] == 'P') {  // stb_image takes its samples for little-endian
    throw Error(fmt::format("{}: a PNM of 16 bits is not read; save it as PNG", file.name));
  }
  auto samples = decode<stbi_us>(file.name, bytes);
  samples.largest = meant_largest(samples);
  return upright(averaged(samples), orientation);
}

bool has_picture_name(const std::filesystem::path& file) {
  return std::ranges::find(kEndings, lower_case(file.extension().string())) != kEndings.end();
}

float contrast(std::span<const float> values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return *most - *least;
}

Picture opaque(const Picture& rgba) {
  const Picture on_white = on_ground(rgba, 1.0f);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto colour = std::span(on_white.values).subspan(c * rgba.pixels(), rgba.pixels());
    if (contrast(colour) >= kOneColour) return on_white;
  }
  return on_ground(rgba, 0.0f);
}

bool has_colour(const Picture& rgb) {
  const auto plane = [&](std::size_t c) {
    return std::span(rgb.values).subspan(c * rgb.pixels(), rgb.pixels());
  };
  return !std::ranges::equal(plane(0), plane(1)) || !std::ranges::equal(plane(0), plane(2));
}

Picture luma(const Picture& rgb) {
  Picture grey(1, rgb.height, rgb.width);
  const std::size_t count = rgb.pixels();
  for (std::size_t i = 0; i < count; ++i) {
    grey.values[i] =
        0.299f * rgb.values[i] + 0.587f * rgb.values[count + i] + 0.114f * rgb.values[2 * count + i];
  }
  return grey;
}

}  // namespace convoy
