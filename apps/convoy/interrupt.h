// Ctrl-C (or a batch system's SIGTERM) during training: noticed between steps, so that no tensor and no file
// is left half-written.
#pragma once

#include <array>
#include <csignal>

#include "engine/core/error.h"

namespace convoy {

/// Training was interrupted; the program exits with 130.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// While it lives, the first SIGINT or SIGTERM is only noted; the second one kills, as ever.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether one has arrived.
  static bool interrupted();

 private:
  std::array<struct sigaction, 2> previous_ = {};
};

}  // namespace convoy
