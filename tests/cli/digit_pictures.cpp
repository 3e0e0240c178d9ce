#include "tests/cli/digit_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/core/philox.h"
#include "tests/cli/skeleton.h"

namespace convoy::test {
namespace {

using Digit = std::span<const std::uint8_t>;
using Path = std::filesystem::path;

constexpr double kPaper = 1.0, kInk = 0.05;

/// A square picture with one digit. Brightness is from 0 to 1.
class Canvas {
 public:
  explicit Canvas(int side, double paper = kPaper)
      : side_(side), values_(static_cast<std::size_t>(side * side), paper) {}

  int side() const { return side_; }
  double& at(int y, int x) { return values_[static_cast<std::size_t>(y * side_ + x)]; }

  /// Calls change(value, y, x) for every pixel, with the centre's coordinates as parts of the side.
  template <typename Change>
  void each(Change change) {
    for (int y = 0; y < side_; ++y) {
      for (int x = 0; x < side_; ++x) change(at(y, x), (y + 0.5) / side_, (x + 0.5) / side_);
    }
  }

  /// Draws the digit enlarged `scale` times, its corner at (top, left).
  void draw(Digit digit, double scale, double top, double left, double ink = kInk) {
    for (int y = 0; y < side_; ++y) {
      for (int x = 0; x < side_; ++x) {
        const double part = ink_at(digit, (y + 0.5 - top) / scale, (x + 0.5 - left) / scale);
        at(y, x) = part * ink + (1 - part) * at(y, x);
      }
    }
  }

  /// Draws a line of `pen` pixels with smooth edges, between points as parts of the side.
  void line(const Stroke& stroke, double pen, double ink = kInk) {
    const double y0 = stroke.from[0] * side_, x0 = stroke.from[1] * side_;
    const double dy = stroke.to[0] * side_ - y0, dx = stroke.to[1] * side_ - x0;
    const double length = std::max(dy * dy + dx * dx, 1e-9), reach = pen / 2 + 1;
    const auto begin = [&](double a, double d) {
      return std::max(0, static_cast<int>(std::min(a, a + d) - reach));
    };
    const auto end = [&](double a, double d) {
      return std::min(side_, static_cast<int>(std::max(a, a + d) + reach) + 1);
    };
    for (int y = begin(y0, dy); y < end(y0, dy); ++y) {
      for (int x = begin(x0, dx); x < end(x0, dx); ++x) {
        const double v = y + 0.5 - y0, u = x + 0.5 - x0;
        const double along = std::clamp((v * dy + u * dx) / length, 0.0, 1.0);
        const double part = std::clamp(pen / 2 + 0.5 - std::hypot(v - along * dy, u - along * dx), 0.0, 1.0);
        at(y, x) = std::min(at(y, x), part * ink + (1 - part) * kPaper);
      }
    }
  }

  void square(int top, int left, int size, double value) {
    for (int y = std::max(0, top); y < std::min(side_, top + size); ++y) {
      for (int x = std::max(0, left); x < std::min(side_, left + size); ++x) at(y, x) = value;
    }
  }

  Pixels pixels() const {
    Pixels result{side_, side_, 1, {}};
    for (const double value : values_) {
      result.values.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255)));
    }
    return result;
  }

 private:
  int side_;
  std::vector<double> values_;
};

/// Numbers that depend on the picture and its kind alone.
class Chance {
 public:
  Chance(std::uint32_t number, std::uint32_t kind) : sequence_({.seed = 100 + kind, .stream = number}) {}
  int between(int least, int most) {
    return least + static_cast<int>(sequence_.below(static_cast<std::uint32_t>(most - least + 1)));
  }
  double part() { return sequence_.below(1u << 20) / static_cast<double>(1u << 20); }

 private:
  PhiloxSequence sequence_;
};

Canvas clean(Digit digit) {
  Canvas canvas(200);
  canvas.draw(digit, 5, 30, 30);
  return canvas;
}

Path save_png(Path stem, const Canvas& canvas) {
  stem += ".png";
  write_png(stem, canvas.pixels());
  return stem;
}

Path turned(Path stem, Digit digit, std::uint32_t number) {
  const int orientation = 2 + static_cast<int>(number % 7);
  const bool jpeg = number / 7 % 2 == 0;
  stem += jpeg ? ".jpg" : ".png";
  const Pixels pixels = clean(digit).pixels();
  jpeg ? write_turned_jpeg(stem, pixels, orientation) : write_turned_png(stem, pixels, orientation);
  return stem;
}

/// One to six dots far from the digit.
Path specks(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 1);
  Canvas canvas(400);
  const int top = chance.between(40, 220), left = chance.between(40, 220);
  canvas.draw(digit, 5, top, left);
  for (int count = chance.between(1, 6); count > 0;) {
    const int y = chance.between(2, 392), x = chance.between(2, 392);
    if (y > top - 20 && y < top + 160 && x > left - 20 && x < left + 160) continue;
    canvas.square(y, x, chance.between(1, 5), 0.0);
    --count;
  }
  return save_png(stem, canvas);
}

/// Dozens of grains of one or two pixels anywhere.
Path dust(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 2);
  Canvas canvas = clean(digit);
  for (int i = 0; i < 40; ++i) {
    canvas.square(chance.between(0, 199), chance.between(0, 199), chance.between(1, 2), 0.6 * chance.part());
  }
  return save_png(stem, canvas);
}

/// A line of one to four pixels round the picture, at its border or a little inside.
Path frame(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 3);
  Canvas canvas = clean(digit);
  const int pen = chance.between(1, 4), inset = number % 2 == 0 ? 0 : chance.between(1, 12);
  const int last = canvas.side() - 1 - inset;
  for (int y = inset; y <= last; ++y) {
    for (int x = inset; x <= last; ++x) {
      if (std::min({y - inset, x - inset, last - y, last - x}) < pen) canvas.at(y, x) = 0.0;
    }
  }
  return save_png(stem, canvas);
}

/// A pencil's digit with a frame or specks that are far darker.
Path pencil(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 4);
  Canvas canvas(200, 0.9);
  canvas.draw(digit, 5, 30, 30, 0.9 - 0.1 * (1 + 3 * chance.part()));
  for (int i = 0; i < 3; ++i)
    canvas.square(chance.between(2, 20), chance.between(2, 190), chance.between(1, 4), 0.0);
  if (number % 2 == 0) canvas.line({{0.02, 0.0}, {0.02, 1.0}}, 2, 0.0);
  return save_png(stem, canvas);
}

/// Light that falls off across the picture by up to half.
Path slope(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 5);
  Canvas canvas = clean(digit);
  const double angle = 2 * std::numbers::pi * chance.part(), fall = 0.2 + 0.3 * chance.part();
  canvas.each([&](double& value, double y, double x) {
    const double along =
        ((y - 0.5) * std::sin(angle) + (x - 0.5) * std::cos(angle)) / std::numbers::sqrt2 + 0.5;
    value = 0.9 * value * (1 - fall * along) + 0.02 * (chance.part() - 0.5);
  });
  return save_png(stem, canvas);
}

/// A shadow with an edge across the picture, as of a hand.
Path edge(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 6);
  Canvas canvas = clean(digit);
  const double angle = 2 * std::numbers::pi * chance.part(), at = 0.3 * (chance.part() - 0.5);
  const double dark = 0.55 + 0.25 * chance.part(), soft = 0.005 + 0.05 * chance.part();
  canvas.each([&](double& value, double y, double x) {
    const double off = (y - 0.5) * std::sin(angle) + (x - 0.5) * std::cos(angle) - at;
    const double lit = std::clamp(off / soft + 0.5, 0.0, 1.0);
    value = 0.9 * value * (dark + (1 - dark) * lit) + 0.02 * (chance.part() - 0.5);
  });
  return save_png(stem, canvas);
}

/// Pale rings and bars over the whole picture.
Path watermark(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 7);
  Canvas canvas = clean(digit);
  const double pale = 0.75 + 0.15 * chance.part(), phase = chance.part(), wide = 0.05 + 0.05 * chance.part();
  canvas.each([&](double& value, double y, double x) {
    const double bar = std::fmod(y + x + phase, 0.35), ring = std::abs(std::hypot(y - 0.5, x - 0.5) - 0.35);
    if (bar < wide || ring < wide / 2) value *= pale;
  });
  return save_png(stem, canvas);
}

/// The box of 20 pixels that MNIST's digits fill, and nothing else.
Path tight(const Path& stem, Digit digit, std::uint32_t) {
  Canvas canvas(140);
  canvas.draw(digit, 7, -28, -28);
  return save_png(stem, canvas);
}

/// A hair beside the digit, and a stripe of shadow over it.
Path hair(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 9);
  Canvas canvas = clean(digit);
  canvas.line({{0.05, 0.05}, {0.08 + 0.05 * chance.part(), 0.5}}, 1.5);
  canvas.line({{0.08, 0.5}, {0.05, 0.9}}, 1.5);
  const double left = 0.7 * chance.part();
  canvas.each([&](double& value, double, double x) { value *= x > left && x < left + 0.2 ? 0.6 : 1.0; });
  return save_png(stem, canvas);
}

/// A bar under the digit, over it, or beside it, which ends within the picture.
Path underline(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 10);
  Canvas canvas(280);
  canvas.draw(digit, 6, 56, 56);
  const int thick = chance.between(2, 8), from = chance.between(10, 40), to = chance.between(240, 270);
  const bool upright = number % 4 == 3;
  const int at = number % 4 == 2 ? chance.between(4, 20) : chance.between(250, 264);
  for (int along = from; along < to; ++along) {
    for (int across = at; across < at + thick; ++across) {
      (upright ? canvas.at(along, across) : canvas.at(across, along)) = 0.0;
    }
  }
  return save_png(stem, canvas);
}

/// A digit of MNIST's own size, or up to twice that, somewhere on 1000 pixels.
Path small(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 11);
  Canvas canvas(1000);
  const int top = chance.between(10, 900), left = chance.between(10, 900);
  canvas.draw(digit, number % 2 == 0 ? 1.0 : 1.0 + chance.part(), top, left);
  return save_png(stem, canvas);
}

/// A thin pen of whole pixels on a canvas of 100 to 1000.
Path pen(const Path& stem, Digit digit, std::uint32_t number) {
  Chance chance(number, 8);
  constexpr int kSides[] = {100, 200, 500, 1000};
  const int width = 1 + static_cast<int>(number % 5), side = kSides[number / 5 % 4];
  Canvas canvas(side);
  const double size = 0.8, top = 0.02 + 0.16 * chance.part(), left = 0.02 + 0.16 * chance.part();
  for (Stroke stroke : skeleton(digit)) {
    for (auto* end : {&stroke.from, &stroke.to})
      *end = {top + size * (*end)[0] / 28, left + size * (*end)[1] / 28};
    canvas.line(stroke, width);
  }
  return save_png(stem, canvas);
}

}  // namespace

std::vector<PictureKind> picture_kinds() {
  const auto plain = [](const Path& stem, Digit digit, std::uint32_t) {
    return save_png(stem, clean(digit));
  };
  return {{"clean", plain},
          {"turned by EXIF", turned},
          {"specks", specks},
          {"dust", dust},
          {"frame", frame},
          {"pencil and dark dust", pencil},
          {"slope of light", slope},
          {"edge of a shadow", edge},
          {"watermark", watermark},
          {"cut out tightly", tight},
          {"hair and stripe", hair},
          {"thin pen", pen},
          {"underline", underline},

          {"small on a large canvas", small}};
}

}  // namespace convoy::test
