// Parses the JSON of files that somebody else may have written.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace convoy {

using Json = nlohmann::ordered_json;  // keeps keys in the order in which they were written

/// Parses `text`. Throws UsageError that begins with `source` for malformed JSON, for nesting more than 64
/// deep, for an object with a key twice, of which the parser would silently drop one, and for an object with
/// more than `most_keys`, because looking up a key takes linear time.
Json parse_json(const std::string& text, const std::string& source, std::size_t most_keys);

}  // namespace convoy
