// A training that loses nothing to a signal, a NaN or a failing device.
#pragma once

#include "apps/convoy/state_keeper.h"
#include "apps/convoy/train_report.h"
#include "convoy/dataset.h"

namespace convoy {

struct FitResult {
  EpochReport last;
  StateDict state;
};

/// Trains, telling `report`, and returns the last epoch's report and the trained state. `observer` has the
/// functions that are called once. An InterruptGuard must live. Throws Interrupted after a signal; Error at
/// the first line whose loss is not finite, if the trained state is not, and if the device fails. In each
/// case `keeper` saves what was reached, and the message says where. `advice` tells what to try against
/// divergence.
FitResult guarded_fit(Trainer& trainer, const Dataset& dataset, TrainReport& report, TrainObserver observer,
                      StateKeeper& keeper, const std::string& advice);

}  // namespace convoy
