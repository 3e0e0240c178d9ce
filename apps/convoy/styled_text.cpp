#include "apps/convoy/styled_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "apps/convoy/printable.h"
#include "apps/convoy/text_width.h"

namespace convoy {
namespace {

constexpr char kStyle = '\0';

/// The style that `text` begins with, without its mark; empty for anything else.
std::string_view style_at(std::string_view text) {
  if (!text.starts_with(std::string_view("\0[", 2))) return {};
  const std::size_t end = text.find_first_not_of("0123456789;", 2);
  return end != std::string_view::npos && text[end] == 'm' ? text.substr(1, end) : std::string_view();
}

}  // namespace

std::string style(std::string_view code) { return fmt::format("{}[{}m", kStyle, code); }

std::string for_terminal(std::string_view text) {
  constexpr std::string_view kSigns("\n\t\0", 3);
  std::string shown;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kSigns), text.size());
    shown += printable(text.substr(0, end));
    text.remove_prefix(end);
    if (text.empty()) break;
    const std::string_view found = style_at(text);
    if (!found.empty()) {
      shown += '\x1b';
      shown += found;
    } else {
      shown += text[0] == kStyle ? printable(text.substr(0, 1)) : std::string(1, text[0]);
    }
    text.remove_prefix(1 + found.size());
  }
  return shown;
}

std::size_t columns_of(std::string_view text) {
  std::size_t of_styles = 0;
  for (std::size_t at = text.find(kStyle); at != std::string_view::npos; at = text.find(kStyle, at + 1)) {
    const std::size_t size = style_at(text.substr(at)).size();
    of_styles += size > 0 ? size + 1 : 0;
  }
  return text_columns(text) - of_styles;
}

void put_data(std::string_view data) { std::fwrite(data.data(), 1, data.size(), stdout); }

}  // namespace convoy
