// Text for a terminal, with styles that no name of a file can pass for.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace convoy {

/// What switches a terminal's style, as "31" to red and "0" back, in text for put. It begins with a byte of 0
/// in place of the escape: no path has such a byte.
std::string style(std::string_view code);

/// Such text as a terminal gets it: printable but for its line breaks, tabs and styles.
std::string for_terminal(std::string_view text);

/// How many columns a terminal shows of such text.
std::size_t columns_of(std::string_view text);

/// Writes data, as tables for other programs, to standard output as they are, where put makes them printable.
void put_data(std::string_view data);

}  // namespace convoy
