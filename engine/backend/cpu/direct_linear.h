// A linear layer of few outputs by own loops. oneDNN takes a product of large matrices for it, and copies the
// weights of each of the three passes into another layout.
#pragma once

#include "engine/backend/cpu/weighted.h"

namespace convoy::cpu {

/// Whether this is faster than oneDNN for a linear layer: a fixed rule of shapes and layout, so that a
/// machine's bits stay the same. docs/measurements.md has what was measured.
bool suits_direct_linear(const WeightedLayer& layer);

/// The operation of a layer that it suits. `device` must outlive it.
OperationPtr make_direct_linear(Device& device, WeightedLayer layer);

}  // namespace convoy::cpu
