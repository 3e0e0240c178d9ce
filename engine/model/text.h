// Makes text that users wrote fit for a message of one line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// The first `limit` characters of the text, and "..." if there are more. All but printable ASCII becomes
/// '?'.
std::string one_line(std::string_view text, std::size_t limit);

/// A name for a message: on one line, in quotes, cut after 64 characters.
std::string in_quotes(std::string_view name);

/// Whether the text can name a layer in a state dict: ASCII letters, digits, '_' and '-' in parts that are
/// joined by single dots, at most 128 characters.
bool is_layer_name(std::string_view name);

/// Advice for an unknown word: "did you mean 'stride'?" if a known one is near: two edits away, of short
/// words one. Else "known are ...".
std::string suggestion(std::string_view word, const std::vector<std::string>& known);

}  // namespace convoy
