// The JSON of a safetensors header, without a look at what its numbers mean.
#pragma once

#include <string_view>

#include "engine/io/safetensors_header.h"

namespace convoy {

/// Takes the header apart. Throws Error for malformed JSON, for anything but tensors with `dtype`, `shape`
/// and `data_offsets` and one `__metadata__` of text, for a key that is there twice within these, and for a
/// name that cannot be a tensor's. Two tensors of one name, and numbers that do not agree, are left to
/// parse_safetensors_header.
SafetensorsHeader safetensors_of_json(std::string_view json);

}  // namespace convoy
