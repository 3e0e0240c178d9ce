// A training that loses nothing to a signal, a NaN or a failing device.
#pragma once

#include <filesystem>
#include <functional>

#include "apps/convoy/early_end.h"
#include "apps/convoy/state_keeper.h"
#include "apps/convoy/train_report.h"
#include "apps/convoy/validation.h"
#include "convoy/dataset.h"
#include "engine/parallel/communicator.h"

namespace convoy {

/// What trains, what is told, and what is kept.
struct GuardedFit {
  Trainer& trainer;
  const Dataset& dataset;
  TrainReport& report;
  StateKeeper& keeper;
  Validation* validation;  // null: no images are held out
  EarlyEnd& early;
  EpochReport& last;             // the last epoch that was done, kept up to date
  std::filesystem::path folder;  // to go on with
  std::string advice;            // what to try against divergence
  Communicator& group;
  std::function<void()> launched;  // behind every launch of steps; may be empty
};

/// Trains, and returns the trained state. `observer` has the functions that are called once. An
/// InterruptGuard must live. Throws Interrupted after a signal; Error at the first line whose loss is not
/// finite, if the trained state is not, and if the device fails. In each case the keeper saves what was
/// reached, and the message says where. In a group this is rank 0's part: a signal to any process stops all
/// at the same step, and all end when the state is saved.
StateDict guarded_fit(const GuardedFit& what, TrainObserver observer);

/// The other ranks' part, which report and write nothing. Throws Interrupted or CommonError where rank 0's
/// does.
void follow_fit(Trainer& trainer, const Dataset& dataset, Validation* validation, EarlyEnd& early,
                Communicator& group);

}  // namespace convoy
