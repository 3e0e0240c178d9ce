// Text that others wrote, to be shown.
#pragma once

#include <string>
#include <string_view>

namespace convoy {

/// The text in one line that can do nothing to a terminal or a page: a line's end or a tab becomes a space,
/// another control character, or a byte that is not UTF-8, U+FFFD.
std::string plain_text(std::string_view text);

}  // namespace convoy
