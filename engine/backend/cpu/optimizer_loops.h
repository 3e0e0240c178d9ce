// The optimizers' arithmetic over a part of the arena. Bound by memory: Adam reads 16 and writes 12 bytes a
// parameter.
#pragma once

#include <cstdint>

#include "engine/core/step_scalars.h"

namespace convoy::cpu {

/// `count` parameters, their gradients, and what the optimizer remembers of each.
struct AdamPart {
  float* parameters;
  const float* gradients;
  float* first;
  float* second;
  std::int64_t count;
  float gradient_factor = 1.0f;  // by which gradients are multiplied
};
void update_by_adam(const AdamPart& part, const StepScalars& scalars, const AdamOptions& options);

struct SgdPart {
  float* parameters;
  const float* gradients;
  float* momentum;  // null without a momentum
  std::int64_t count;
  float gradient_factor = 1.0f;
};
void update_by_sgd(const SgdPart& part, const StepScalars& scalars, const SgdOptions& options);

/// Of the gradients' norm; in a fixed order.
double sum_of_squares(const float* values, std::int64_t count);

/// means move towards the values by that share of the way; by all of it with a weight of 1.
void move_average(const float* values, float* means, std::int64_t count, float weight);

/// means = the mean of `samples` values, from the mean of those before and the last.
void average(const float* values, float* means, std::int64_t count, float samples);

}  // namespace convoy::cpu
