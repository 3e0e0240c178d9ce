// The device's work must not outlive what it works on, whichever way a function ends.
#pragma once

#include <exception>

#include "engine/backend/backend.h"

namespace convoy {

/// Waits for the device at the end of a scope. It cannot report that the device failed: on the way that is
/// not an exception's, call Backend::synchronize.
class FinishOnExit {
 public:
  explicit FinishOnExit(Backend& backend) : backend_(backend) {}
  ~FinishOnExit() {
    try {
      backend_.synchronize();
    } catch (const std::exception&) {
      // An earlier error is on its way, or the next call reports this one.
    }
  }
  FinishOnExit(const FinishOnExit&) = delete;  // of one scope
  FinishOnExit& operator=(const FinishOnExit&) = delete;

 private:
  Backend& backend_;
};

}  // namespace convoy
