// The numbers of a training step that no parameter changes, and what they follow from.
#pragma once

#include <cstdint>

#include "convoy/optimizer_options.h"
#include "convoy/schedule.h"

namespace convoy {

/// In steps; 0: not known.
struct TrainingLength {
  std::int64_t steps_per_epoch = 0;
  std::int64_t total_steps = 0;

  bool operator==(const TrainingLength&) const = default;
};

/// What a step's scalars follow from, besides its number. It stays the same over a whole training.
struct StepRule {
  Schedule schedule;
  TrainingLength length;
  float learning_rate = 0.0f;  // before the schedule
  float beta1 = 0.0f;          // Adam's
  float beta2 = 0.0f;
  float momentum = 0.0f;  // SGD's
  bool adam = false;      // else SGD

  bool operator==(const StepRule&) const = default;
};

inline StepRule step_rule(const OptimizerOptions& options, const Schedule& schedule = {},
                          const TrainingLength& length = {}) {
  StepRule rule{.schedule = schedule, .length = length};
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) {
    rule.learning_rate = sgd->learning_rate;
    rule.momentum = sgd->momentum;
  } else {
    const auto& adam = std::get<AdamOptions>(options);
    rule.learning_rate = adam.learning_rate;
    rule.beta1 = adam.beta1;
    rule.beta2 = adam.beta2;
    rule.adam = true;
  }
  return rule;
}

/// A part of a training in which the rate follows one formula of x, which is 0 at the count `start` and 1 at
/// start + span.
struct StepSegment {
  enum class Form : std::int32_t {
    line,    // from + (to - from) x
    cosine,  // to + (from - to) (1 + cos(pi x)) / 2
    power,   // from to^floor(x), where the momentum stays
  };
  Form form = Form::line;
  std::int64_t begin = 1;  // its first step; it ends where the next one begins
  double origin = 0.0;     // steps before the count 0; whole numbers, so that their quotients are exact
  double interval = 1.0;   // steps a count
  double start = 0.0;
  double span = 1.0;
  double rate_from = 0.0;
  double rate_to = 0.0;
  double momentum_from = 0.0;  // SGD's momentum or Adam's beta1, by the same formula
  double momentum_to = 0.0;
};

constexpr int kMaxSegments = 64;

/// A StepRule as the device reads it (step_table.h makes it): no vectors, no pointers.
struct StepTable {
  StepSegment segments[kMaxSegments];  // in the order of their steps, the first from step 1
  std::int32_t count = 0;              // of them
  bool adam = false;
  double beta2 = 0.0;
};

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
