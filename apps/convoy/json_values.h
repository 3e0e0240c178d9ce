// Members of JSON objects that somebody's editor may have changed.
#pragma once

#include <optional>
#include <string>

#include "engine/model/json_text.h"

namespace convoy {

/// A member, if `object` is one, the member is there, and it is a finite number.
std::optional<double> number_in(const Json& object, const char* key);

/// A member, if it is there and a text; else empty.
std::string text_in(const Json& object, const char* key);

/// A member, if it is there and an object; else an empty object.
Json object_in(const Json& object, const char* key);

}  // namespace convoy
