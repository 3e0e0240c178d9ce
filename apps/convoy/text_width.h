// How much room text takes in a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace convoy {

/// The columns of UTF-8 without control characters: two for characters of East Asia and for emoji, none for
/// accents that are written over the character before them. A byte that is not UTF-8 counts as one.
std::size_t text_columns(std::string_view text);

/// The longest beginning of `text` that takes `columns` at the most.
std::string_view cut_to_columns(std::string_view text, std::size_t columns);

/// `text` cut to `columns`, and filled up with spaces.
std::string padded(std::string_view text, std::size_t columns);

}  // namespace convoy
