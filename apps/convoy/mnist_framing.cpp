#include "apps/convoy/mnist_framing.h"

#include <algorithm>
#include <cmath>

#include "apps/convoy/ink.h"

namespace convoy {
namespace {

constexpr double kThinnestStroke = 2.0;  // pixels of the 20

/// How wide the strokes of a drawing are, roughly: its area over half its outline. It is measured at a small
/// size, where dithered and rough ink is whole.
double stroke_width(const Picture& ink) {
  constexpr double kSide = 60.0;
  const double scale = std::min(1.0, kSide / static_cast<double>(std::max(ink.height, ink.width)));
  const auto scaled = [&](std::size_t side) {
    return std::max<std::size_t>(1, static_cast<std::size_t>(std::round(static_cast<double>(side) * scale)));
  };
  const Picture small = resize(ink, scaled(ink.height), scaled(ink.width));
  const float half = *std::max_element(small.values.begin(), small.values.end()) / 2.0f;
  const auto is_ink = [&](std::size_t y, std::size_t x) {
    return y < small.height && x < small.width && small.at(0, y, x) >= half;  // -1 is larger than any side
  };
  std::size_t area = 0, outline = 0;
  for (std::size_t y = 0; y < small.height; ++y) {
    for (std::size_t x = 0; x < small.width; ++x) {
      if (!is_ink(y, x)) continue;
      ++area;
      outline += !is_ink(y - 1, x) || !is_ink(y + 1, x) || !is_ink(y, x - 1) || !is_ink(y, x + 1);
    }
  }
  return 2.0 * static_cast<double>(area) / (scale * static_cast<double>(outline));
}

/// The drawing with white paper of `margin` pixels about it.
Picture with_margin(const Picture& ink, std::size_t margin) {
  Picture result(1, ink.height + 2 * margin, ink.width + 2 * margin);
  for (std::size_t y = 0; y < ink.height; ++y) {
    for (std::size_t x = 0; x < ink.width; ++x) result.at(0, y + margin, x + margin) = ink.at(0, y, x);
  }
  return result;
}

/// Widens strokes that the scale would make too thin. Averaged down, a line of one pixel on a large canvas is
/// next to nothing.
Picture widened(const Picture& ink, double scale) {
  const double missing = kThinnestStroke / scale - stroke_width(ink);
  const auto radius = static_cast<std::size_t>(std::max(0.0, std::round(missing / 2.0)));
  return radius == 0 ? ink : dilated(with_margin(ink, radius), radius);
}

/// The position of a part on an axis of `length` at which its centre of mass is at most a pixel behind the
/// middle, as in MNIST. The position is changed if the part would not fit.
std::size_t centred(double centre_of_mass, std::size_t part, std::size_t length) {
  const double begin = std::ceil(static_cast<double>(length) / 2.0 - centre_of_mass);
  return static_cast<std::size_t>(std::clamp(begin, 0.0, static_cast<double>(length - part)));
}

/// Scales a drawing, with its aspect kept, into 20 of 28 pixels of both axes.
double scale_of(const Picture& ink, std::size_t height, std::size_t width) {
  return std::min(static_cast<double>(height) * 20.0 / 28.0 / static_cast<double>(ink.height),
                  static_cast<double>(width) * 20.0 / 28.0 / static_cast<double>(ink.width));
}

}  // namespace

Picture frame_as_mnist(const Picture& ink, std::size_t height, std::size_t width) {
  const Picture drawing = widened(ink, scale_of(ink, height, width));
  const double scale = scale_of(drawing, height, width);
  const auto scaled = [&](std::size_t length, std::size_t most) {
    const double rounded = std::round(static_cast<double>(length) * scale);
    return std::clamp(static_cast<std::size_t>(rounded), std::size_t{1}, most);
  };
  const Picture small = resize(drawing, scaled(drawing.height, height), scaled(drawing.width, width));
  const float darkest = *std::max_element(small.values.begin(), small.values.end());
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
    for (std::size_t x = 0; x < small.width; ++x) {
      framed.at(0, top + y, left + x) = small.at(0, y, x) / darkest;
    }
  }
  return framed;
}

}  // namespace convoy
