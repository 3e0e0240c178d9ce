/// @file
/// What a training counts as it goes.
#pragma once

#include <cstdint>

namespace convoy {

/// Loss and hits, summed on the device over the batches since `reset`.
struct MetricsReading {
  double last_loss = 0.0;  ///< mean over the last batch
  double loss_sum = 0.0;   ///< over samples, not batches: a ragged batch counts by its size
  std::int64_t correct = 0;
  std::int64_t samples = 0;

  bool operator==(const MetricsReading&) const = default;
};

}  // namespace convoy
