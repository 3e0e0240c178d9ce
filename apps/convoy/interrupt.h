// Ctrl-C during training: noticed between steps, so that no tensor and no file is left half-written.
#pragma once

#include <csignal>

#include "engine/core/error.h"

namespace convoy {

/// Training was interrupted; the program exits with 130.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// While it lives, the first SIGINT is only noted; the second one kills, as ever.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether a SIGINT has arrived.
  static bool interrupted();

 private:
  struct sigaction previous_ = {};
};

}  // namespace convoy
