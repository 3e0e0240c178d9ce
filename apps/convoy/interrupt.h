// Signals that would end the program during training: Ctrl-C, a batch system's SIGTERM, a closed terminal.
// They take effect between steps, so that no tensor and no file is half-written.
#pragma once

#include <array>
#include <csignal>
#include <string>

#include "convoy/error.h"

namespace convoy {

/// A signal ended the training; the program exits with 128 and its number, as shells say it: 130 for Ctrl-C.
class Interrupted : public Error {
 public:
  Interrupted(const std::string& message, int signal, bool saved = true)
      : Error(message), signal_(signal), saved_(saved) {}
  int exit_code() const { return 128 + signal_; }
  int signal() const { return signal_; }
  bool saved() const { return saved_; }  // whether the training goes on where it was

 private:
  int signal_;
  bool saved_;
};

/// While it lives, the first SIGINT or SIGQUIT only sets a flag, and a second one ends the program as usual.
/// SIGTERM, SIGHUP and SIGXCPU set it each time, so that what is being saved is not cut off: a batch system
/// may ask again, a closing terminal may send several, and a process beyond its time is told so every second.
/// A signal that was ignored before, as nohup and background jobs of scripts have it, stays ignored. One
/// within the life of another changes nothing.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether such a signal has arrived.
  static bool interrupted() { return signal() != 0; }

  /// The last one; 0 if none has arrived.
  static int signal();

  /// "interrupted" or, where it was not Ctrl-C, "interrupted by SIGHUP".
  static const char* in_words();

 private:
  bool outermost_;
  std::array<struct sigaction, 5> previous_ = {};
};

}  // namespace convoy
