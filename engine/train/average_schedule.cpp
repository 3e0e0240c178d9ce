#include "engine/train/average_schedule.h"

#include <algorithm>
#include <limits>

namespace convoy {

AverageSchedule::AverageSchedule(std::int64_t steps)
    : first_(steps - steps / 5), interval_(std::max<std::int64_t>(1, steps / 50)), steps_(steps) {}

bool AverageSchedule::wants(std::int64_t step) const { return next_after(step - 1) == step; }

std::int64_t AverageSchedule::next_after(std::int64_t step) const {
  const std::int64_t next = std::max(step, first_) + 1;
  if (next > steps_) return std::numeric_limits<std::int64_t>::max();
  return next + (steps_ - next) % interval_;
}

}  // namespace convoy
