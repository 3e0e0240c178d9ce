// What the options of a training must be, and that all processes of a group have the same.
#pragma once

#include "convoy/model.h"
#include "convoy/trainer.h"
#include "engine/parallel/communicator.h"

namespace convoy {

/// Throws UsageError for options out of range.
void check(const TrainOptions& options);

/// Throws UsageError where a process has another model or other options than rank 0. To be called before
/// anything is sent whose size they decide.
void require_one_model(Communicator& group, Model model, const TrainOptions& options);

/// Likewise for the data and where the training goes on: else it would train something else, or wait for
/// ever.
void require_one_training(Communicator& group, const TrainOptions& options, const TrainingPosition& position,
                          const Dataset& dataset);

}  // namespace convoy
