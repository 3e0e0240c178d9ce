// Standard input, which may be a pipe: it was open before the program began, so nothing is waited for that
// the caller of the program did not mean.
#pragma once

#include <cstdint>
#include <string>

namespace convoy {

/// Reads it from where it stands to its end. Throws Error if it cannot be read, or does not end within `most`
/// bytes.
std::string read_standard_input(std::int64_t most);

}  // namespace convoy
