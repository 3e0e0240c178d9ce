/// @file
/// Convoy's exceptions. A message is one line that says what is wrong, where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace convoy {

/// A setting that the user can change to avoid an error. It is not part of the message, because only the
/// calling program knows what the setting is called there: a member of an options struct, a flag, a button.
enum class Remedy {
  none,                ///< no setting helps
  smaller_batch,       ///< the device's memory is too small for this batch size
  another_device,      ///< another name for make_backend
  another_plan_cache,  ///< another folder in DeviceOptions::plan_cache
};

/// A file, a library or a device failed at run time. Whoever catches it catches UsageError as well.
class Error : public std::runtime_error {
 public:
  /// `message` is one line without an end of line; what() returns it.
  explicit Error(const std::string& message, Remedy remedy = Remedy::none)
      : std::runtime_error(message), remedy_(remedy) {}

  /// Which setting would help.
  Remedy remedy() const { return remedy_; }

 private:
  Remedy remedy_;
};

/// The caller's request is wrong: an option out of range, a shape that does not fit, a bad model file.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace convoy
