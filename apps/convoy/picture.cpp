#include "apps/convoy/picture.h"

#include <fmt/format.h>
#include <stb_image.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>

#include "convoy/error.h"

namespace convoy {
namespace {

constexpr std::int64_t kMostPixels = 64 << 20;
constexpr float kInk = 0.1f;       // 0 is background, 1 is ink; below this is paper and compression noise
constexpr float kContrast = 0.1f;  // ink that differs less from the background is not seen

std::vector<unsigned char> read_bytes(const std::filesystem::path& file) {
  std::error_code ignored;
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file, ignored)) {
    throw Error(fmt::format("{}: the picture cannot be opened", file.string()));
  }
  std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(stream), {}};
  if (bytes.empty() || bytes.size() > std::numeric_limits<int>::max()) {
    throw Error(fmt::format("{}: a picture of {} bytes cannot be read", file.string(), bytes.size()));
  }
  return bytes;
}

/// How one output of an axis is made: the sum of the inputs from `first` on, times `weights`.
struct Tap {
  std::size_t first = 0;
  std::vector<float> weights;
};

std::vector<Tap> taps(std::size_t from, std::size_t to) {
  std::vector<Tap> result(to);
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const auto last = static_cast<double>(from - 1);
  for (std::size_t i = 0; i < to; ++i) {
    Tap& tap = result[i];
    if (scale <= 1.0) {  // enlarging: linear between the two nearest centres
      const double centre = std::clamp((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0, last);
      tap.first = static_cast<std::size_t>(centre);
      const auto part = static_cast<float>(centre - std::floor(centre));
      tap.weights = {1.0f - part};
      if (part > 0.0f) tap.weights.push_back(part);
      continue;
    }
    const double begin = static_cast<double>(i) * scale;
    const double end = std::min(begin + scale, static_cast<double>(from));
    tap.first = static_cast<std::size_t>(begin);
    for (std::size_t x = tap.first; static_cast<double>(x) < end && x < from; ++x) {
      const double overlap =
          std::min(end, static_cast<double>(x + 1)) - std::max(begin, static_cast<double>(x));
      tap.weights.push_back(static_cast<float>(overlap / (end - begin)));
    }
  }
  return result;
}

std::vector<float> border(const Picture& grey) {
  std::vector<float> values;
  for (std::size_t x = 0; x < grey.width; ++x) {
    values.push_back(grey.at(0, 0, x));
    values.push_back(grey.at(0, grey.height - 1, x));
  }
  for (std::size_t y = 0; y < grey.height; ++y) {
    values.push_back(grey.at(0, y, 0));
    values.push_back(grey.at(0, y, grey.width - 1));
  }
  return values;
}

float median(std::vector<float> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Makes the background 0 and ink 1. The background is the median of the border. Ink is the brightness that
/// differs most from it.
void ink_on_black(Picture& grey, const std::filesystem::path& file) {
  const float background = median(border(grey));
  const auto [darkest, lightest] = std::minmax_element(grey.values.begin(), grey.values.end());
  const bool inverted = background - *darkest > *lightest - background;
  const float ink = inverted ? *darkest : *lightest;
  if (std::abs(ink - background) < kContrast) {
    throw Error(fmt::format("{}: no digit to be seen, the picture has one colour", file.string()));
  }
  for (float& value : grey.values) value = std::max(0.0f, (value - background) / (ink - background));
}

/// The smallest rectangle that contains every pixel of ink.
Picture crop_to_ink(const Picture& grey) {
  std::size_t top = grey.height, bottom = 0, left = grey.width, right = 0;
  for (std::size_t y = 0; y < grey.height; ++y) {
    for (std::size_t x = 0; x < grey.width; ++x) {
      if (grey.at(0, y, x) < kInk) continue;
      top = std::min(top, y), bottom = std::max(bottom, y);
      left = std::min(left, x), right = std::max(right, x);
    }
  }
  Picture part(1, bottom - top + 1, right - left + 1);
  for (std::size_t y = 0; y < part.height; ++y) {
    for (std::size_t x = 0; x < part.width; ++x) part.at(0, y, x) = grey.at(0, top + y, left + x);
  }
  return part;
}

/// The position of a part on an axis of `length` at which its centre of mass is in the middle. The position
/// is changed if the part would not fit.
std::size_t centred(double centre_of_mass, std::size_t part, std::size_t length) {
  const double begin = std::round(static_cast<double>(length) / 2.0 - centre_of_mass);
  return static_cast<std::size_t>(std::clamp(begin, 0.0, static_cast<double>(length - part)));
}

/// Frames a digit as in MNIST: scaled with its aspect kept into a box of 20 of the 28 pixels, and placed with
/// its centre of mass in the middle.
Picture frame_digit(const Picture& digit, std::size_t height, std::size_t width) {
  const double scale = std::min(static_cast<double>(height) * 20.0 / 28.0 / static_cast<double>(digit.height),
                                static_cast<double>(width) * 20.0 / 28.0 / static_cast<double>(digit.width));
  const auto scaled = [&](std::size_t length, std::size_t most) {
    const double rounded = std::round(static_cast<double>(length) * scale);
    return std::clamp(static_cast<std::size_t>(rounded), std::size_t{1}, most);
  };
  const Picture small = resize(digit, scaled(digit.height, height), scaled(digit.width, width));
  double mass = 0.0, mass_y = 0.0, mass_x = 0.0;
  for (std::size_t y = 0; y < small.height; ++y) {
    for (std::size_t x = 0; x < small.width; ++x) {
      const double value = small.at(0, y, x);
      mass += value;
      mass_y += value * (static_cast<double>(y) + 0.5);
      mass_x += value * (static_cast<double>(x) + 0.5);
    }
  }
  const std::size_t top = centred(mass_y / mass, small.height, height);
  const std::size_t left = centred(mass_x / mass, small.width, width);
  Picture framed(1, height, width);
  for (std::size_t y = 0; y < small.height; ++y) {
    for (std::size_t x = 0; x < small.width; ++x) framed.at(0, top + y, left + x) = small.at(0, y, x);
  }
  return framed;
}

}  // namespace

Picture read_picture(const std::filesystem::path& file, std::size_t channels) {
  const auto bytes = read_bytes(file);
  const auto size = static_cast<int>(bytes.size());
  int width = 0, height = 0, found = 0;
  if (stbi_info_from_memory(bytes.data(), size, &width, &height, &found) == 0) {
    throw Error(fmt::format("{}: not a picture that can be read: {}", file.string(), stbi_failure_reason()));
  }
  if (std::int64_t{width} * height > kMostPixels) {
    throw Error(fmt::format("{}: {} x {} pixels are too many; scale it down", file.string(), width, height));
  }
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes.data(), size, &width, &height, &found, 4), &stbi_image_free);
  if (!pixels) {
    throw Error(fmt::format("{}: the picture is broken: {}", file.string(), stbi_failure_reason()));
  }
  Picture picture(channels, static_cast<std::size_t>(height), static_cast<std::size_t>(width));
  const std::size_t count = picture.height * picture.width;
  for (std::size_t i = 0; i < count; ++i) {
    const stbi_uc* rgba = pixels.get() + 4 * i;
    const float opacity = static_cast<float>(rgba[3]) / 255.0f;
    float colour[3];
    for (int c = 0; c < 3; ++c) {
      colour[c] = opacity * static_cast<float>(rgba[c]) / 255.0f + (1.0f - opacity);
    }
    if (channels == 1) {  // luma of ITU-R BT.601
      picture.values[i] = 0.299f * colour[0] + 0.587f * colour[1] + 0.114f * colour[2];
    } else {
      for (std::size_t c = 0; c < channels; ++c) picture.values[c * count + i] = colour[c];
    }
  }
  return picture;
}

Picture resize(const Picture& picture, std::size_t height, std::size_t width) {
  const auto columns = taps(picture.width, width);
  const auto rows = taps(picture.height, height);
  Picture narrow(picture.channels, picture.height, width);
  Picture result(picture.channels, height, width);
  for (std::size_t c = 0; c < picture.channels; ++c) {
    for (std::size_t y = 0; y < picture.height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        const Tap& tap = columns[x];
        for (std::size_t k = 0; k < tap.weights.size(); ++k) {
          narrow.at(c, y, x) += tap.weights[k] * picture.at(c, y, tap.first + k);
        }
      }
    }
    for (std::size_t y = 0; y < height; ++y) {
      const Tap& tap = rows[y];
      for (std::size_t k = 0; k < tap.weights.size(); ++k) {
        for (std::size_t x = 0; x < width; ++x) {
          result.at(c, y, x) += tap.weights[k] * narrow.at(c, tap.first + k, x);
        }
      }
    }
  }
  return result;
}

std::vector<std::uint8_t> model_input(const std::filesystem::path& file, const Shape& image,
                                      Framing framing) {
  const auto channels = static_cast<std::size_t>(image[0]);
  const auto height = static_cast<std::size_t>(image[1]);
  const auto width = static_cast<std::size_t>(image[2]);
  if (channels != 1 && channels != 3) {
    throw Error(fmt::format("the model takes images {}: pictures have 1 or 3 channels", image.str()));
  }
  Picture picture = read_picture(file, channels);
  if (framing == Framing::digit && channels == 1) {
    ink_on_black(picture, file);
    picture = frame_digit(crop_to_ink(picture), height, width);
  } else {
    if (channels == 1 && median(border(picture)) > 0.5f) {
      for (float& value : picture.values) value = 1.0f - value;
    }
    picture = resize(picture, height, width);
  }
  std::vector<std::uint8_t> bytes;
  bytes.reserve(picture.values.size());
  for (const float value : picture.values) {
    bytes.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0f, 1.0f) * 255.0f)));
  }
  return bytes;
}

}  // namespace convoy
