// How each parameter of a model is updated.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "convoy/muon.h"
#include "convoy/state.h"
#include "engine/core/parameter_group.h"

namespace convoy {

/// One for each of the trainable specs, in their order; empty if all are decayed. `weights_only` spares
/// biases, and the weights and biases of norms: all that is a vector. `muon` has the weights of convolutions,
/// and those of linear layers if it says so, but never the last weight: that is the classifier's.
/// Throws UsageError if that is none.
std::vector<ParameterGroup> parameter_groups(std::span<const TensorSpec> specs, bool weights_only,
                                             const std::optional<MuonOptions>& muon = {});

}  // namespace convoy
