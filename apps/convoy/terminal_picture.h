// Pictures and bars of probabilities in a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convoy/shape.h"

namespace convoy {

/// How a picture can be shown.
enum class Palette {
  ascii,       // by characters of ASCII, which are more or less dense
  colours256,  // half blocks in xterm's 256 colours
  true_colour  // half blocks in 24 bits
};

/// What standard output can show, by its being a terminal, NO_COLOR, TERM, COLORTERM and the locale (LC_ALL,
/// LC_CTYPE, LANG): half blocks need colours and UTF-8.
Palette terminal_palette();

/// The number of xterm's colour, of the cube of 6 x 6 x 6 or the 24 greys, that is nearest.
int nearest_of_256(int red, int green, int blue);

/// The lines of a picture [C, H, W] of 1 or 3 channels, each a column a pixel and a line two rows; it is
/// scaled down if it is wider than `columns`, or than 64. Each line shows as many columns, and ends without
/// colour.
std::vector<std::string> draw_picture(std::span<const std::uint8_t> pixels, const Shape& image,
                                      Palette palette, std::size_t columns);

/// A class with its probability.
struct Bar {
  std::string name;
  double fraction = 0.0;  // 0 to 1
};

/// A line for each bar, "cat  ####      41.5 %", of `columns` at the most; names are cut if need be.
std::vector<std::string> draw_bars(const std::vector<Bar>& bars, Palette palette, std::size_t columns);

/// A picture with the bars of the ten most probable classes: beside it where there are columns for both,
/// else below. Ends with a line break.
struct PictureWithBars {
  std::span<const std::uint8_t> pixels;
  const Shape& image;
  const std::vector<std::string>& classes;
  std::span<const double> probabilities;
};
std::string draw(const PictureWithBars& shown, Palette palette, std::size_t columns);

}  // namespace convoy
