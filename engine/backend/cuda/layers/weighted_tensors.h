// What a convolution and a linear layer read.
#pragma once

#include <string>

#include "engine/backend/cuda/runtime/parameters.h"

namespace convoy::cuda {

struct WeightedTensors {
  Variable x;
  Variable weight;
  Variable bias;  // null without
};

/// Throws UsageError, naming `layer`, unless the input is stored as `activation` and the parameters can be
/// computed with in that type.
inline void require_own(const std::string& layer, const WeightedTensors& t, DType activation) {
  require_own(layer + ": input", t.x, activation);
  require_parameter(layer + ": weight", t.weight, activation);
  if (!t.bias.value) return;
  require_own(layer + ": bias", t.bias, DType::float32);  // what own kernels add
  require_parameter(layer + ": bias", t.bias, activation);
}

}  // namespace convoy::cuda
