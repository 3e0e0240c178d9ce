#include "apps/convoy/printable.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>

#include "engine/core/utf8.h"

namespace convoy {

std::string printable(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    std::string_view rest = text;
    const std::optional<char32_t> point = take_code_point(rest);
    const std::string_view character = text.substr(0, point ? text.size() - rest.size() : 1);
    const bool is_shown = point && *point >= 0x20 && (*point < 0x7f || *point >= 0xa0);
    if (is_shown) line += character;
    for (const char c : is_shown ? std::string_view() : character) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(character.size());
  }
  return line;
}

}  // namespace convoy
