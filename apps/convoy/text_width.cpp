#include "apps/convoy/text_width.h"

#include <algorithm>
#include <array>
#include <optional>

#include "engine/core/utf8.h"

namespace convoy {
namespace {

struct Range {
  char32_t first, last;
};

// wcwidth(3) knows more, but only in the locale that a program was started in. These are the blocks of
// Unicode that names of classes are likely to have.
constexpr std::array<Range, 5> kWithoutWidth = {
    {{0x300, 0x36f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}}};
constexpr std::array<Range, 9> kWide = {{{0x1100, 0x115f},      // Hangul Jamo
                                         {0x2e80, 0xa4cf},      // CJK radicals, kana, ideographs, Yi
                                         {0xac00, 0xd7a3},      // Hangul syllables
                                         {0xf900, 0xfaff},      // CJK compatibility ideographs
                                         {0xfe30, 0xfe6f},      // CJK compatibility forms
                                         {0xff00, 0xff60},      // full-width forms
                                         {0x1f300, 0x1f64f},    // pictographs and emoticons
                                         {0x1f680, 0x1f9ff},    // transport symbols, more pictographs
                                         {0x20000, 0x3fffd}}};  // ideographs of the further planes

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, char32_t point) {
  return std::ranges::any_of(
      ranges, [point](const Range& range) { return range.first <= point && point <= range.last; });
}

/// A character, and the columns that it takes.
struct Character {
  std::size_t bytes = 1;
  std::size_t columns = 1;
};

Character first_of(std::string_view text) {
  std::string_view rest = text;
  const std::optional<char32_t> point = take_code_point(rest);
  if (!point) return {};
  const std::size_t columns = is_in(kWithoutWidth, *point) ? 0 : is_in(kWide, *point) ? 2 : 1;
  return {text.size() - rest.size(), columns};
}

}  // namespace

std::string_view cut_to_columns(std::string_view text, std::size_t columns) {
  std::size_t end = 0, used = 0;
  while (end < text.size()) {
    const Character character = first_of(text.substr(end));
    used += character.columns;
    if (used > columns) break;
    end += character.bytes;
  }
  return text.substr(0, end);
}

std::size_t text_columns(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character character = first_of(text);
    columns += character.columns;
    text.remove_prefix(character.bytes);
  }
  return columns;
}

std::string padded(std::string_view text, std::size_t columns) {
  const std::string_view cut = cut_to_columns(text, columns);
  return std::string(cut) + std::string(columns - text_columns(cut), ' ');
}

}  // namespace convoy
