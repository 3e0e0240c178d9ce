#include "engine/core/utf8.h"

#include <bit>
#include <cstddef>

namespace convoy {

std::optional<char32_t> take_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const int ones = std::countl_one(lead);  // 0 for ASCII, else the number of bytes of the character
  if (ones == 1 || ones > 4) return std::nullopt;
  const auto length = static_cast<std::size_t>(ones == 0 ? 1 : ones);
  if (length > text.size()) return std::nullopt;
  char32_t point = lead & (0x7fU >> ones);
  for (const char c : text.substr(1, length - 1)) {
    if ((c & 0xc0) != 0x80) return std::nullopt;
    point = point << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  }
  text.remove_prefix(length);
  // Indexed by length. UTF-8 allows only the shortest form of a character.
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < kSmallest[length] || point > 0x10ffff || surrogate) return std::nullopt;
  return point;
}

bool is_plain_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::optional<char32_t> point = take_code_point(text);
    if (!point || *point < 0x20 || (*point >= 0x7f && *point < 0xa0)) return false;
  }
  return true;
}

}  // namespace convoy
