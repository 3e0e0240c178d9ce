// A training that loses nothing to a signal, a NaN or a failing device.
#pragma once

#include <filesystem>

#include "apps/convoy/state_keeper.h"
#include "apps/convoy/train_report.h"
#include "apps/convoy/validation.h"
#include "convoy/dataset.h"

namespace convoy {

/// What trains, what is told, and what is kept.
struct GuardedFit {
  Trainer& trainer;
  const Dataset& dataset;
  TrainReport& report;
  StateKeeper& keeper;
  Validation* validation;        // null: no images are held out
  std::filesystem::path folder;  // to go on with
  std::string advice;            // what to try against divergence
};

struct FitResult {
  EpochReport last;
  StateDict state;
};

/// Trains, and returns the last epoch's report and the trained state. `observer` has the functions that are
/// called once. An InterruptGuard must live. Throws Interrupted after a signal; Error at the first line whose
/// loss is not finite, if the trained state is not, and if the device fails. In each case the keeper saves
/// what was reached, and the message says where.
FitResult guarded_fit(const GuardedFit& what, TrainObserver observer);

}  // namespace convoy
