// Values of a pickle in words, for a person.
#pragma once

#include <string>

#include "engine/io/unpickler.h"

namespace convoy {

/// The list or tuple that a value is, or null.
const pickle::Object* as_sequence(const pickle::Value& value);

/// A value that holds no others, in words: `3`, `"adam"`, `an object of "numpy.ndarray"`.
std::string words_of(const pickle::Value& value);

/// A list in words, `[0.9, 0.999]`, and short lists within it, `[[0, 1], [2, 3]]`. Empty if anything else is
/// in it: a tensor, a dict, a longer list. Never more than some hundred bytes.
std::string words_of_list(const pickle::Object& list);

}  // namespace convoy
