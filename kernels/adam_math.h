// Adam's arithmetic for one parameter, the same on the device and on the host.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/core/host_device.h"

namespace convoy {

/// Adam (Kingma and Ba, 2015) with PyTorch's conventions: epsilon is added after the square root of the
/// bias-corrected second moment. `weight_decay` is added to the gradient, as torch.optim.Adam does, or
/// decoupled from it (AdamW; Loshchilov and Hutter, 2019), as torch.optim.AdamW does.
struct AdamOptions {
  float learning_rate = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0.0f;
  bool decoupled_weight_decay = false;
};

/// The factors of a step that no parameter changes.
struct AdamFactors {
  float step_size;           // learning_rate / (1 - beta1^step)
  float inverse_sqrt_bias2;  // 1 / sqrt(1 - beta2^step)
};

/// `step` is 1 at the first update. In double, because 1 - beta2^step cancels all but 10 bits of a float at
/// step 1; it is computed once a thread or less.
HOST_DEVICE inline AdamFactors adam_factors(const AdamOptions& options, std::int64_t step) {
  const double bias1 = 1.0 - std::pow(static_cast<double>(options.beta1), static_cast<double>(step));
  const double bias2 = 1.0 - std::pow(static_cast<double>(options.beta2), static_cast<double>(step));
  return {static_cast<float>(options.learning_rate / bias1), static_cast<float>(1.0 / std::sqrt(bias2))};
}

/// Updates the moments in place and returns the new parameter.
HOST_DEVICE inline float adam_update(float parameter, float gradient, float& first, float& second,
                                     const AdamFactors& factors, const AdamOptions& options) {
  if (options.decoupled_weight_decay) {
    parameter *= 1.0f - options.learning_rate * options.weight_decay;
  } else {
    gradient += options.weight_decay * parameter;
  }
  first += (1.0f - options.beta1) * (gradient - first);
  second += (1.0f - options.beta2) * (gradient * gradient - second);
  return parameter -
         factors.step_size * first / (std::sqrt(second) * factors.inverse_sqrt_bias2 + options.epsilon);
}

}  // namespace convoy
