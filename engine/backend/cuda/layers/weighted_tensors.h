// What a convolution and a linear layer read.
#pragma once

#include <string>

#include "engine/backend/cuda/runtime/tensor.h"

namespace convoy::cuda {

struct WeightedTensors {
  /// Throws UsageError, naming `layer`, unless all are this backend's real numbers.
  WeightedTensors(const std::string& layer, const Variable& input, const Variable& filter,
                  const Variable& offset)
      : x(input), weight(filter), bias(offset) {
    require_own(layer + ": input", x);
    require_own(layer + ": weight", weight);
    if (bias.value) require_own(layer + ": bias", bias);
  }

  Variable x;
  Variable weight;
  Variable bias;  // null without
};

}  // namespace convoy::cuda
