// Ctrl-C, or a batch system's SIGTERM, during training. It takes effect between steps, so that no tensor and
// no file is half-written.
#pragma once

#include <array>
#include <csignal>

#include "convoy/error.h"

namespace convoy {

/// Training was interrupted; the program exits with 130.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// While it lives, the first SIGINT or SIGTERM only sets a flag. A second one ends the program as usual.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether such a signal has arrived.
  static bool interrupted();

 private:
  std::array<struct sigaction, 2> previous_ = {};
};

}  // namespace convoy
