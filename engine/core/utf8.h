// UTF-8, read character by character.
#pragma once

#include <optional>
#include <string_view>

namespace convoy {

/// Removes the code point at the start of `text`, which is not empty, and returns it; nothing if the bytes
/// are not UTF-8.
std::optional<char32_t> take_code_point(std::string_view& text);

/// Whether `text` is UTF-8 without control characters.
bool is_plain_utf8(std::string_view text);

}  // namespace convoy
