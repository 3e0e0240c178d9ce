// What a race to an accuracy gave, and how it is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"

namespace convoy {

/// One process of `convoy train`.
struct RaceRun {
  std::uint64_t seed = 0;
  bool cold = false;  // the first one of all, without a plan in the cache
  bool reached = false;
  double accuracy = 0.0;  // 0 to 1: that which reached it, or the model's in the end
  double start_seconds =
      0.0;  // from the start of the process to when that was known; all of it, if not reached
  double training_seconds = 0.0;  // of those the training alone
  std::int64_t images = 0;        // seen by then
};

/// Told behind each process.
void tell_run(const RaceRun& run, bool json);

/// Told at the end: the share that reached it, and median and mean of those that did. `cold` is not among
/// `runs`. `command` is what the processes were given.
void tell_race(double to, const RaceRun& cold, const std::vector<RaceRun>& runs,
               const std::vector<std::string>& command, bool json);

}  // namespace convoy
