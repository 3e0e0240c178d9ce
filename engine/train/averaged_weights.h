// A model's moving average in the place of its weights, for an evaluation.
#pragma once

#include "engine/train/step.h"

namespace convoy {

/// While it lives, the model's weights and running statistics are their moving averages, if there are any
/// yet: for an evaluation. Behind it they are as before, to the bit.
class AveragedWeights {
 public:
  explicit AveragedWeights(NetworkState& state);
  ~AveragedWeights();
  AveragedWeights(const AveragedWeights&) = delete;  // of one scope
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  MovingAverage* ema_;  // null: nothing was exchanged
};

}  // namespace convoy
