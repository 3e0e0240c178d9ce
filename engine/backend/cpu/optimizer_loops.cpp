// The arithmetic is the one that the GPU has (kernels/*_math.h), so it is left to the compiler to do it in
// vectors, for each of Highway's targets.
#include "engine/backend/cpu/optimizer_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/optimizer_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/adam_math.h"
#include "kernels/average_math.h"
#include "kernels/moving_average_math.h"
#include "kernels/sgd_math.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

// Options and scalars are taken by value, or the compiler takes a store for a change of them and does not
// vectorise.
void update_by_adam(const AdamPart& p, StepScalars scalars, AdamOptions options) {
  float* const HWY_RESTRICT parameters = p.parameters;
  const float* const HWY_RESTRICT gradients = p.gradients;
  float* const HWY_RESTRICT first = p.first;
  float* const HWY_RESTRICT second = p.second;
  const float factor = p.gradient_factor;
  for (std::int64_t i = 0, count = p.count; i < count; ++i) {
    parameters[i] = adam_update(parameters[i], factor * gradients[i], first[i], second[i], scalars, options);
  }
}

void update_by_sgd(const SgdPart& p, StepScalars scalars, SgdOptions options) {
  float* const HWY_RESTRICT parameters = p.parameters;
  const float* const HWY_RESTRICT gradients = p.gradients;
  float* const HWY_RESTRICT momentum = p.momentum;
  const std::int64_t count = p.count;
  const float factor = p.gradient_factor;
  if (momentum == nullptr) {
    for (std::int64_t i = 0; i < count; ++i) {
      float none = 0.0f;
      parameters[i] = sgd_update(parameters[i], factor * gradients[i], none, scalars, options);
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    parameters[i] = sgd_update(parameters[i], factor * gradients[i], momentum[i], scalars, options);
  }
}

double sum_of_squares(const float* HWY_RESTRICT values, std::int64_t count) {
  constexpr int kSums = 8;  // for the compiler to make a vector of
  double sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (int k = 0; k < kSums; ++k) {
      const double value = values[i + k];
      sums[k] += value * value;
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(values[i]) * values[i];
  double sum = 0.0;
  for (const double one : sums) sum += one;
  return sum;
}

void move_average(const float* HWY_RESTRICT values, float* HWY_RESTRICT means, std::int64_t count,
                  float weight) {
  for (std::int64_t i = 0; i < count; ++i) means[i] = moved_average(means[i], values[i], weight);
}

void average(const float* HWY_RESTRICT values, float* HWY_RESTRICT means, std::int64_t count, float samples) {
  for (std::int64_t i = 0; i < count; ++i) means[i] = averaged(means[i], values[i], samples);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(update_by_adam);
HWY_EXPORT(update_by_sgd);
HWY_EXPORT(sum_of_squares);
HWY_EXPORT(move_average);
HWY_EXPORT(average);

void update_by_adam(const AdamPart& part, const StepScalars& scalars, const AdamOptions& options) {
  HWY_DYNAMIC_DISPATCH(update_by_adam)(part, scalars, options);
}

void update_by_sgd(const SgdPart& part, const StepScalars& scalars, const SgdOptions& options) {
  HWY_DYNAMIC_DISPATCH(update_by_sgd)(part, scalars, options);
}

double sum_of_squares(const float* values, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares)(values, count);
}

void move_average(const float* values, float* means, std::int64_t count, float weight) {
  HWY_DYNAMIC_DISPATCH(move_average)(values, means, count, weight);
}

void average(const float* values, float* means, std::int64_t count, float samples) {
  HWY_DYNAMIC_DISPATCH(average)(values, means, count, samples);
}

}  // namespace convoy::cpu
#endif
