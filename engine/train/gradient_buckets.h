// The gradients of a group's step are summed in pieces, so that the sum of the last layers' goes on while the
// first layers' are still computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/backend.h"

namespace convoy {

/// Below this a sum is mostly latency, which every piece has (profiling/README.md).
constexpr std::int64_t kLeastBucketBytes = 8 << 20;

/// Parameters `first` to `last` (not included) of an arena.
struct GradientBucket {
  std::size_t first = 0;
  std::size_t last = 0;

  bool operator==(const GradientBucket&) const = default;
};

/// Cuts an arena from its end, where backward begins, into pieces of at least that many bytes; the
/// last, which nothing is left to hide, may be smaller. The same for all processes, whatever their shares.
std::vector<GradientBucket> gradient_buckets(std::span<const Variable> parameters,
                                             std::int64_t least_bytes = kLeastBucketBytes);

}  // namespace convoy
