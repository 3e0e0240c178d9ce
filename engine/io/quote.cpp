#include "engine/io/quote.h"

#include <fmt/format.h>

#include <iterator>

#include "engine/core/utf8.h"

namespace convoy {
namespace {

constexpr std::size_t kMaxQuoted = 80;
constexpr std::size_t kMaxName = std::size_t{64} << 10;

bool is_printable_ascii(char c) { return c >= 0x20 && c < 0x7f; }

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

bool is_tensor_name(std::string_view text) { return text.size() <= kMaxName && is_plain_utf8(text); }

}  // namespace convoy
