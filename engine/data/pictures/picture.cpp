#include "engine/data/pictures/picture.h"

#include <algorithm>
#include <cmath>

namespace convoy {
namespace {

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

}  // namespace

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

Picture cropped(const Picture& picture, std::size_t height, std::size_t width) {
  // As products, so that nothing is rounded: one axis stays whole, of the other as much as fits its share.
  const bool wide = picture.width * height > picture.height * width;
  const std::size_t rows = wide ? picture.height : std::max<std::size_t>(1, picture.width * height / width);
  const std::size_t columns =
      wide ? std::max<std::size_t>(1, picture.height * width / height) : picture.width;
  const std::size_t top = (picture.height - rows) / 2, left = (picture.width - columns) / 2;
  Picture result(picture.channels, rows, columns);
  for (std::size_t c = 0; c < picture.channels; ++c) {
    for (std::size_t y = 0; y < rows; ++y) {
      for (std::size_t x = 0; x < columns; ++x) result.at(c, y, x) = picture.at(c, top + y, left + x);
    }
  }
  return result;
}

std::vector<std::uint8_t> bytes_of(const Picture& picture) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(picture.values.size());
  for (const float value : picture.values) {
    bytes.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0f, 1.0f) * 255.0f)));
  }
  return bytes;
}

Picture transposed(const Picture& picture) {
  Picture result(picture.channels, picture.width, picture.height);
  for (std::size_t c = 0; c < picture.channels; ++c) {
    for (std::size_t y = 0; y < picture.height; ++y) {
      for (std::size_t x = 0; x < picture.width; ++x) result.at(c, x, y) = picture.at(c, y, x);
    }
  }
  return result;
}

}  // namespace convoy
