// Gradient clipping by norm.
#pragma once

#include "engine/backend/step_state.h"

namespace convoy::cuda {

/// Where an optimizer finds the factor on its gradients; null without a clip. Throws UsageError if another
/// backend made it.
const float* gradient_factor(const GradientClip* clip);

}  // namespace convoy::cuda
