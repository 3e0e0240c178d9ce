#include "engine/train/weight_average.h"

#include <algorithm>
#include <limits>

namespace convoy {

WeightAverage::WeightAverage(std::int64_t steps)
    : first_(steps - steps / 5), interval_(std::max<std::int64_t>(1, steps / 50)), steps_(steps) {}

bool WeightAverage::wants(std::int64_t step) const { return next_after(step - 1) == step; }

std::int64_t WeightAverage::next_after(std::int64_t step) const {
  const std::int64_t next = std::max(step, first_) + 1;
  if (next > steps_) return std::numeric_limits<std::int64_t>::max();
  return next + (steps_ - next) % interval_;
}

void WeightAverage::add(const StateDict& weights) {
  ++count_;
  if (sum_.empty()) {
    sum_ = weights;
    return;
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::vector<double>& values = weights[i].second.values;
    for (std::size_t j = 0; j < values.size(); ++j) sum_[i].second.values[j] += values[j];
  }
}

StateDict WeightAverage::mean() const {
  StateDict mean = sum_;
  for (auto& [name, tensor] : mean) {
    for (double& value : tensor.values) value /= static_cast<double>(count_);
  }
  return mean;
}

}  // namespace convoy
