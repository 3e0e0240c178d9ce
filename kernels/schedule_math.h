// A step's scalars from its number, the same on the device and on the host.
#pragma once

#include <cmath>

#include "engine/core/host_device.h"
#include "engine/core/step_scalars.h"

namespace convoy {

/// The factor on the learning rate in step `step`, 1 for the first.
HOST_DEVICE inline double schedule_factor(const Schedule& schedule, std::int64_t step) {
  if (schedule.kind == Schedule::Kind::constant) return 1.0;
  const std::int64_t before = step - 1 < schedule.total_iters ? step - 1 : schedule.total_iters;
  const double start = schedule.start_factor;
  return start + (schedule.end_factor - start) * static_cast<double>(before) /
                     static_cast<double>(schedule.total_iters);
}

/// In double: 1 - beta2^step cancels all but 10 bits of a float at step 1. One thread computes it once a
/// step.
HOST_DEVICE inline StepScalars step_scalars(const StepRule& rule, std::int64_t step) {
  const double rate = rule.learning_rate * schedule_factor(rule.schedule, step);
  const double bias1 = 1.0 - std::pow(static_cast<double>(rule.beta1), static_cast<double>(step));
  const double bias2 = 1.0 - std::pow(static_cast<double>(rule.beta2), static_cast<double>(step));
  return {step, static_cast<float>(rate), static_cast<float>(rate / bias1),
          static_cast<float>(1.0 / std::sqrt(bias2)), rule.momentum, rule.beta1};
}

}  // namespace convoy
