// Names the flags that apply the remedies of the engine's errors.
#pragma once

#include <string>

#include "convoy/error.h"

namespace convoy {

/// Text to append to a message, such as "; try a smaller --batch-size". Empty for Remedy::none.
std::string in_flags(Remedy remedy);

/// The message of an error, followed by its remedy.
std::string with_remedy(const Error& error);

}  // namespace convoy
