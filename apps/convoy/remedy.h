// The engine's remedies in the words of the program: which flag does it.
#pragma once

#include <string>

#include "engine/core/error.h"

namespace convoy {

/// "; try a smaller --batch-size": to be put behind a message. Empty for Remedy::none.
std::string in_flags(Remedy remedy);

/// The message of an error with its remedy.
std::string with_remedy(const Error& error);

}  // namespace convoy
