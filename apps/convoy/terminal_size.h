// How wide the terminal is.
#pragma once

#include <cstddef>

namespace convoy {

/// The columns of the terminal at standard output, as of now: a window may be resized. 80 if there is none.
std::size_t terminal_columns();

}  // namespace convoy
