// Pieces of HTML. Whatever comes from a file, a flag or a device goes through `escaped`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// Text for an element, or for an attribute's value in double quotes. It is printable() before.
std::string escaped(std::string_view text);

/// The bytes in base64, as RFC 4648 has it.
std::string base64(std::span<const std::uint8_t> bytes);

/// Grey (1 channel) or RGB (3 channels) pixels, [height, width, channels].
struct Picture8 {
  int width = 0;
  int height = 0;
  int channels = 1;
  std::vector<std::uint8_t> values;
};

/// The picture as the bytes of a PNG. Throws Error where memory is short.
std::vector<std::uint8_t> png_of(const Picture8& picture);

/// An <img> that holds its picture; its longer side has so many CSS pixels.
std::string image(const Picture8& picture, std::string_view alt, int side);

/// One cell of a table's body.
struct Cell {
  std::string html;
  bool number = false;  // flush right
};

/// A table that scrolls by itself where the page is narrow. Titles and cells are HTML; the first column heads
/// its row, and a title is flush right if the first row's cell is.
std::string table(std::string_view caption, const std::vector<std::string>& titles,
                  const std::vector<std::vector<Cell>>& rows);

/// <section> with a heading, of which the id is also the anchor.
std::string section(std::string_view id, std::string_view title, std::string_view content);

/// A whole document with the style of all pages. `title` is text, `body` HTML. It loads nothing, and its
/// content policy forbids that it does.
std::string page(std::string_view title, std::string_view body);

}  // namespace convoy
