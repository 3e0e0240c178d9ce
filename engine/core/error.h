// How Convoy says no: one exception per exit code, each with a message of one line that says what is wrong,
// where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace convoy {

/// What would help. The engine does not know how its user asks for things, by a flag or by an option's
/// member, so it names the remedy and leaves the words to whoever shows the message.
enum class Remedy { none, smaller_batch, another_device, another_plan_cache, no_plan_cache };

/// Something failed at run time: a file, a library, a device. The program exits with 1.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Remedy remedy = Remedy::none)
      : std::runtime_error(message), remedy_(remedy) {}
  Remedy remedy() const { return remedy_; }

 private:
  Remedy remedy_;
};

/// The caller asked for something that cannot be: a bad flag, shape, or model file. The program exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace convoy
