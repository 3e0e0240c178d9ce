// The tensors that a single layer owns.
#pragma once

#include <vector>

#include "engine/model/state.h"

namespace convoy {

/// In PyTorch's order, with names relative to the layer ("weight"). Empty for layers that own nothing; a
/// Residual itself is one. The layer's settings must have passed output_shape.
std::vector<TensorSpec> layer_tensors(const Layer& layer);

/// How many products one output element of a convolution or linear layer sums up; `weight` is [O, ...].
std::int64_t fan_in(const Shape& weight);

}  // namespace convoy
