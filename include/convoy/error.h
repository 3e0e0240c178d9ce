/// @file
/// Convoy's exceptions, one for each exit code of the program. A message is one line. It says what is wrong,
/// where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace convoy {

/// What the user can do about an error. The engine does not know whether its user sets flags or members of an
/// options struct. So an error only names the remedy, and whoever shows the message puts it into words.
enum class Remedy { none, smaller_batch, another_device, another_plan_cache };

/// A file, a library or a device failed at run time. The program exits with 1.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Remedy remedy = Remedy::none)
      : std::runtime_error(message), remedy_(remedy) {}
  Remedy remedy() const { return remedy_; }

 private:
  Remedy remedy_;
};

/// The caller's request is wrong: a bad flag, shape or model file. The program exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace convoy
