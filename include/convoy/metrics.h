/// @file
/// Sums of loss and correct predictions during a training.
#pragma once

#include <cstdint>

namespace convoy {

/// Loss and correct predictions, summed over the batches of an epoch so far.
struct MetricsReading {
  double last_loss = 0.0;    ///< mean over the samples of the last batch
  double loss_sum = 0.0;     ///< over samples: divided by `samples` it is the mean loss
  std::int64_t correct = 0;  ///< samples whose largest logit was that of their label
  std::int64_t samples = 0;  ///< seen so far

  /// Equal in all members.
  bool operator==(const MetricsReading&) const = default;
};

}  // namespace convoy
