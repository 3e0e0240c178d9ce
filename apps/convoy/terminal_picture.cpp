#include "apps/convoy/terminal_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "apps/convoy/printable.h"
#include "apps/convoy/styled_text.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/text_width.h"
#include "engine/data/pictures/picture.h"

namespace convoy {
namespace {

constexpr std::size_t kWidestPicture = 64, kWidestName = 20, kWidestBar = 30, kNarrowestBar = 6;
constexpr std::size_t kPercent = 8;  // " 100.0 %"
constexpr std::size_t kGap = 2, kMostBars = 10;
constexpr std::string_view kRamp = " .:-=+*#%@";
constexpr std::array<int, 6> kCube = {0, 95, 135, 175, 215, 255};

using Rgb = std::array<int, 3>;

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text = value;
    return std::ranges::any_of(std::array{"UTF-8", "utf-8", "UTF8", "utf8"}, [&](const char* codeset) {
      return text.find(codeset) != std::string_view::npos;
    });
  }
  return false;
}

Rgb colour_at(const Picture& picture, std::size_t y, std::size_t x) {
  Rgb colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    const float value = picture.at(std::min(c, picture.channels - 1), y, x);
    colour[c] = static_cast<int>(std::lround(255.0f * std::clamp(value, 0.0f, 1.0f)));
  }
  return colour;
}

int brightness(const Rgb& colour) { return (299 * colour[0] + 587 * colour[1] + 114 * colour[2]) / 1000; }

std::string colour_code(const Rgb& colour, Palette palette, bool background) {
  const int kind = background ? 48 : 38;
  return palette == Palette::true_colour
             ? fmt::format("{};2;{};{};{}", kind, colour[0], colour[1], colour[2])
             : fmt::format("{};5;{}", kind, nearest_of_256(colour[0], colour[1], colour[2]));
}

/// Two rows of pixels; the second is missing at the end of an odd height.
std::string blocks_line(const Picture& picture, std::size_t y, Palette palette) {
  const bool pair = y + 1 < picture.height;
  std::string line, before;
  for (std::size_t x = 0; x < picture.width; ++x) {
    const std::string lower = pair ? colour_code(colour_at(picture, y + 1, x), palette, true) : "49";
    const std::string code = colour_code(colour_at(picture, y, x), palette, false) + ";" + lower;
    if (code != before) line += style(code);
    line += "\u2580";  // the upper half block
    before = code;
  }
  return line + style("0");
}

std::string ascii_line(const Picture& picture, std::size_t y) {
  const std::size_t below = std::min(y + 1, picture.height - 1);
  std::string line;
  for (std::size_t x = 0; x < picture.width; ++x) {
    const auto level = static_cast<std::size_t>(brightness(colour_at(picture, y, x)) +
                                                brightness(colour_at(picture, below, x)));
    line += kRamp[level * kRamp.size() / 511];  // 510 at the most
  }
  return line;
}

Picture picture_of(std::span<const std::uint8_t> pixels, const Shape& image) {
  Picture picture(static_cast<std::size_t>(image[0]), static_cast<std::size_t>(image[1]),
                  static_cast<std::size_t>(image[2]));
  std::ranges::transform(pixels, picture.values.begin(),
                         [](std::uint8_t value) { return static_cast<float>(value) / 255.0f; });
  return picture;
}

std::size_t name_width(const std::vector<Bar>& bars) {
  std::size_t width = 1;
  for (const Bar& bar : bars) width = std::max(width, std::min(text_columns(bar.name), kWidestName));
  return width;
}

std::string bar_of(double fraction, std::size_t width, Palette palette) {
  constexpr std::array<const char*, 8> kEighths = {" ",      "\u258f", "\u258e", "\u258d",
                                                   "\u258c", "\u258b", "\u258a", "\u2589"};
  const auto eighths = static_cast<std::size_t>(
      std::lround(std::clamp(fraction, 0.0, 1.0) * 8.0 * static_cast<double>(width)));
  if (palette == Palette::ascii) return padded(std::string((eighths + 4) / 8, '#'), width);
  std::string bar;
  for (std::size_t i = 0; i < eighths / 8; ++i) bar += "\u2588";
  if (eighths % 8 > 0) bar += kEighths[eighths % 8];
  return padded(bar, width);
}

std::vector<Bar> most_probable(const PictureWithBars& shown) {
  std::vector<std::size_t> order(shown.classes.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [&](std::size_t c) { return shown.probabilities[c]; });
  order.resize(std::min(order.size(), kMostBars));
  std::vector<Bar> bars;
  for (const std::size_t c : order) bars.push_back({printable(shown.classes[c]), shown.probabilities[c]});
  return bars;
}

}  // namespace

Palette terminal_palette() {
  if (!fancy_output() || !locale_is_utf8()) return Palette::ascii;
  const char* depth = std::getenv("COLORTERM");
  const std::string_view text = depth == nullptr ? "" : depth;
  return text == "truecolor" || text == "24bit" ? Palette::true_colour : Palette::colours256;
}

int nearest_of_256(int red, int green, int blue) {
  const Rgb wanted = {red, green, blue};
  const auto distance = [&](const Rgb& colour) {
    int sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += (colour[c] - wanted[c]) * (colour[c] - wanted[c]);
    return sum;
  };
  std::array<std::size_t, 3> side{};
  Rgb cube{};
  for (std::size_t c = 0; c < 3; ++c) {
    const auto nearest =
        std::ranges::min_element(kCube, {}, [&](int level) { return std::abs(level - wanted[c]); });
    side[c] = static_cast<std::size_t>(nearest - kCube.begin());
    cube[c] = *nearest;
  }
  // The greys are 8, 18, ... 238.
  const int step = std::clamp((brightness(wanted) - 3) / 10, 0, 23), grey = 8 + 10 * step;
  if (distance({grey, grey, grey}) < distance(cube)) return 232 + step;
  return static_cast<int>(16 + 36 * side[0] + 6 * side[1] + side[2]);
}

std::vector<std::string> draw_picture(std::span<const std::uint8_t> pixels, const Shape& image,
                                      Palette palette, std::size_t columns) {
  Picture picture = picture_of(pixels, image);
  const std::size_t widest = std::max<std::size_t>(1, std::min(columns, kWidestPicture));
  if (picture.width > widest) {
    picture = resize(picture, std::max<std::size_t>(1, picture.height * widest / picture.width), widest);
  }
  std::vector<std::string> lines;
  for (std::size_t y = 0; y < picture.height; y += 2) {
    lines.push_back(palette == Palette::ascii ? ascii_line(picture, y) : blocks_line(picture, y, palette));
  }
  return lines;
}

std::vector<std::string> draw_bars(const std::vector<Bar>& bars, Palette palette, std::size_t columns) {
  const std::size_t around = 1 + kPercent;
  const std::size_t most = columns > around + kNarrowestBar ? columns - around - kNarrowestBar : 1;
  const std::size_t name = std::min(name_width(bars), most);
  const std::size_t room = columns > name + around ? columns - name - around : 0;
  std::vector<std::string> lines;
  for (const Bar& bar : bars) {
    std::string line = padded(bar.name, name) + " " +
                       bar_of(bar.fraction, std::min(room, kWidestBar), palette) +
                       fmt::format(" {:5.1f} %", 100.0 * bar.fraction);
    lines.emplace_back(cut_to_columns(line, columns));
  }
  return lines;
}

std::string draw(const PictureWithBars& shown, Palette palette, std::size_t columns) {
  const std::size_t room = std::max<std::size_t>(columns, 2) - 1;  // a full line would wrap in some terminals
  const std::vector<std::string> picture = draw_picture(shown.pixels, shown.image, palette, room);
  const std::vector<Bar> bars = most_probable(shown);
  const std::size_t width =
      std::min({static_cast<std::size_t>(shown.image[2]), room, kWidestPicture});  // of each line
  const bool beside = room >= width + kGap + name_width(bars) + 1 + kNarrowestBar + kPercent;
  const auto rows = draw_bars(bars, palette, beside ? room - width - kGap : room);
  std::string text;
  for (std::size_t i = 0; i < picture.size(); ++i) {
    text += picture[i];
    if (beside && i < rows.size()) text += std::string(kGap, ' ') + rows[i];
    text += '\n';
  }
  for (std::size_t i = beside ? picture.size() : 0; i < rows.size(); ++i) {
    text += (beside ? std::string(width + kGap, ' ') : "") + rows[i] + '\n';
  }
  return text;
}

}  // namespace convoy
