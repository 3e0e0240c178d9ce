// Text of messages: what users wrote, made fit for one line of a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// The text with everything but printable ASCII replaced by '?', cut after `limit` characters (then "..."
/// follows).
std::string one_line(std::string_view text, std::size_t limit);

/// A name as messages show it: in quotes, one line, at most 64 characters.
std::string in_quotes(std::string_view name);

/// True for a state-dict prefix of at most 128 characters: parts of ASCII letters, digits, '_' and '-',
/// joined by single dots.
bool is_layer_name(std::string_view name);

/// What to say of an unknown word: "did you mean 'stride'?" if a known one is at most two typing errors away,
/// else "known are ...".
std::string suggestion(std::string_view word, const std::vector<std::string>& known);

}  // namespace convoy
