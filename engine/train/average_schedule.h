// The steps whose weights are averaged: ten, spread evenly over the last fifth of a training (see
// TrainOptions::swa).
#pragma once

#include <cstdint>

namespace convoy {

class AverageSchedule {
 public:
  /// For a training of `steps`; of fewer than five, nothing is averaged.
  explicit AverageSchedule(std::int64_t steps);

  /// Whether the weights after `step` (from 1) are wanted. The last step's are, if any.
  bool wants(std::int64_t step) const;

  /// The first step after `step` whose weights are wanted; beyond all steps if there is none.
  std::int64_t next_after(std::int64_t step) const;

 private:
  std::int64_t first_;
  std::int64_t interval_;
  std::int64_t steps_;
};

}  // namespace convoy
