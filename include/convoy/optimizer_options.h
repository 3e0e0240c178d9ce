/// @file
/// What a user chooses about the update of a training step: the optimizer and the schedule of its learning
/// rate.
#pragma once

#include <cstdint>
#include <variant>

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

/// torch.optim.SGD without dampening: momentum as in Sutskever et al. (2013), weight decay added to the
/// gradient.
struct SgdOptions {
  float learning_rate = 1e-2f;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
  bool nesterov = false;  ///< needs a momentum
};

using OptimizerOptions = std::variant<AdamOptions, SgdOptions>;

/// By which factor the optimizer's learning rate is multiplied in a step.
struct Schedule {
  enum class Kind : std::int32_t {
    constant,  ///< 1
    linear,    ///< from start_factor in the first step to end_factor after total_iters steps, and so on
  };

  Kind kind = Kind::constant;
  /// Of `linear`, with the names and defaults of torch.optim.lr_scheduler.LinearLR, stepped once a batch: in
  /// step s, counted from 1, the factor is start + (end - start) min(s - 1, total_iters) / total_iters.
  float start_factor = 1.0f / 3.0f;  ///< above 0, at most 1
  float end_factor = 1.0f;           ///< 0 to 1
  std::int64_t total_iters = 5;      ///< at least 1

  bool operator==(const Schedule&) const = default;
};

}  // namespace convoy
