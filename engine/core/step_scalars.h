// The numbers of a training step that no parameter changes, and what they follow from.
#pragma once

#include <cstdint>

#include "convoy/optimizer_options.h"

namespace convoy {

/// What a step's scalars follow from, besides its number. It stays the same over a whole training.
struct StepRule {
  Schedule schedule;
  float learning_rate = 0.0f;  // before the schedule
  float beta1 = 0.0f;          // Adam's
  float beta2 = 0.0f;
  float momentum = 0.0f;  // SGD's

  bool operator==(const StepRule&) const = default;
};

inline StepRule step_rule(const OptimizerOptions& options, const Schedule& schedule = {}) {
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) {
    return {.schedule = schedule, .learning_rate = sgd->learning_rate, .momentum = sgd->momentum};
  }
  const auto& adam = std::get<AdamOptions>(options);
  return {
      .schedule = schedule, .learning_rate = adam.learning_rate, .beta1 = adam.beta1, .beta2 = adam.beta2};
}

/// One step's numbers. They lie in the device's memory, so that a recorded step reads those of its own
/// number.
struct StepScalars {
  std::int64_t step = 0;            // 1 in the first step
  float learning_rate = 0.0f;       // of this step, by the schedule
  float step_size = 0.0f;           // learning_rate / (1 - beta1^step)
  float inverse_sqrt_bias2 = 0.0f;  // 1 / sqrt(1 - beta2^step)
  float momentum = 0.0f;            // SGD's in this step
  float beta1 = 0.0f;               // Adam's in this step

  bool operator==(const StepScalars&) const = default;
};

}  // namespace convoy
