// Text that may be anything, for a line of a terminal.
#pragma once

#include <string>
#include <string_view>

namespace convoy {

/// `text` with \xNN for the bytes of control characters, line breaks among them, and for bytes that are not
/// UTF-8. So the name of a file cannot colour the screen, nor look like a line of the program's.
std::string printable(std::string_view text);

}  // namespace convoy
