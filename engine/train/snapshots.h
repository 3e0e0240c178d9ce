// Between a training on a backend and its snapshot.
#pragma once

#include "convoy/snapshot.h"

namespace convoy {

struct TrainingState;  // engine/train/step.h

/// Reads everything back; synchronises.
TrainingSnapshot take_snapshot(const TrainingState& state);

/// Overwrites everything, except for an average that `state` does not keep. The model's state must have
/// passed check_state. Throws Error, and changes nothing, if the tensors are not those of the state's
/// optimizer and parameters.
void restore_snapshot(TrainingState& state, const TrainingSnapshot& snapshot);

}  // namespace convoy
