// How Convoy says no: one exception per exit code, each with a message of one line that says what is wrong,
// where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace convoy {

/// Something failed at run time: a file, a library, a device. The program exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The caller asked for something that cannot be: a bad flag, shape, or model file. The program exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace convoy
