#include "engine/io/quote.h"

#include <fmt/format.h>

#include <bit>
#include <iterator>
#include <optional>

namespace convoy {
namespace {

constexpr std::size_t kMaxQuoted = 80;
constexpr std::size_t kMaxName = std::size_t{64} << 10;

bool is_printable_ascii(char c) { return c >= 0x20 && c < 0x7f; }

/// Removes the code point at the start of `text` and returns it; nothing if the bytes are not UTF-8.
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

}  // namespace

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxQuoted)) {
    if (!is_printable_ascii(c) || c == '"' || c == '\\') {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += text.size() > kMaxQuoted ? "...\"" : "\"";
  return out;
}

bool is_tensor_name(std::string_view text) {
  if (text.size() > kMaxName) return false;
  while (!text.empty()) {
    const std::optional<char32_t> point = take_code_point(text);
    if (!point || *point < 0x20 || (*point >= 0x7f && *point < 0xa0)) return false;
  }
  return true;
}

}  // namespace convoy
