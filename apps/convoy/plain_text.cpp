#include "apps/convoy/plain_text.h"

#include <algorithm>
#include <cstdint>

namespace convoy {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// The length of the UTF-8 character at the start; 0 if there is none, or if it is a control character.
std::size_t character_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first > 0xf4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  // The shortest form alone is allowed, and no surrogates; U+0080 to U+009F are control characters.
  const std::uint32_t least = length == 4 ? 0x10000u : length == 3 ? 0x800u : 0xa0u;
  return code < least || code > 0x10ffffu || (code >= 0xd800u && code < 0xe000u) ? 0 : length;
}

}  // namespace

std::string plain_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = character_at(text);
    if (text[0] == '\n' || text[0] == '\t') {
      out += ' ';
    } else {
      out += length == 0 ? kReplacement : text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace convoy
