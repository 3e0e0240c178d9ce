// How the processes of a group share every batch: each takes consecutive rows of it.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "convoy/metrics.h"
#include "engine/parallel/communicator.h"

namespace convoy {

/// A process's rows of a batch.
struct BatchShare {
  std::int64_t rows = 0;   // none, if the others have them all
  std::int64_t first = 0;  // row of the whole batch
  std::int64_t of = 0;     // rows of the whole batch

  BatchShare() = default;
  /// A whole batch.
  BatchShare(std::int64_t batch) : rows(batch), of(batch) {}
  BatchShare(std::int64_t count, std::int64_t begin, std::int64_t whole)
      : rows(count), first(begin), of(whole) {}

  auto operator<=>(const BatchShare&) const = default;
};

/// `count` rows cut as evenly as possible; the first ranks have one more where they do not go even.
BatchShare even_share(std::int64_t count, const GroupPlace& place);

/// An epoch of `count` samples in batches of `size` processes times `batch`.
struct EpochShares {
  EpochShares(std::int64_t samples, std::int64_t batch, const GroupPlace& place);

  std::int64_t count;       // samples, of all processes
  std::int64_t full_steps;  // whole batches
  BatchShare full;          // of each of them
  BatchShare rest;          // of the last batch, cut evenly; `of` is 0 if nothing is left over

  std::int64_t steps() const { return full_steps + (rest.of > 0 ? 1 : 0); }
  /// Samples of all processes in the first `steps` steps.
  std::int64_t samples_in(std::int64_t steps) const;
  /// Those of a whole epoch's order that are this process's, batch after batch.
  std::vector<std::uint32_t> order(const std::vector<std::uint32_t>& whole) const;
};

/// Sums over all processes; of the last batch's loss too, of which each has a part.
MetricsReading sum_over(Communicator& group, const MetricsReading& reading);

}  // namespace convoy
