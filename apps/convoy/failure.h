// Failures as the program ends with them: one line, and an exit code.
#pragma once

#include <string>

#include "convoy/error.h"

namespace convoy {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2 };

/// A failure that all processes of a group know of, at the same point: each can end by itself.
class CommonError : public Error {
 public:
  using Error::Error;
};

/// Reports the message and returns the code.
int fail(int code, std::string message);

/// For a `catch (...)`: reports the exception that is being handled, and returns its code.
int report_failure();

}  // namespace convoy
