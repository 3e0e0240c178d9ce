// What a training step does behind its gradients.
#pragma once

#include <vector>

#include "engine/train/step.h"

namespace convoy {

/// Adds the parts behind the last gradient: "clip", "optimizer", "muon" and "ema", those of them that the
/// training has. The state must outlive them.
void add_update_parts(TrainingState& state, std::vector<StepPart>& parts);

}  // namespace convoy
