/// @file
/// The optimizers.
#pragma once

#include <variant>

namespace convoy {

/// Adam (Kingma and Ba, 2015) with PyTorch's conventions: epsilon is added after the square root of the
/// bias-corrected second moment. `weight_decay` is added to the gradient, as torch.optim.Adam does, or
/// decoupled from it (AdamW; Loshchilov and Hutter, 2019), as torch.optim.AdamW does.
struct AdamOptions {
  float learning_rate = 1e-3f;          ///< above 0; PyTorch's lr
  float beta1 = 0.9f;                   ///< decay of the first moment (the mean of gradients), in [0, 1)
  float beta2 = 0.999f;                 ///< decay of the second moment (of their squares), in [0, 1)
  float epsilon = 1e-8f;                ///< at least 0; PyTorch's eps
  float weight_decay = 0.0f;            ///< at least 0
  bool decoupled_weight_decay = false;  ///< true: AdamW
};

/// torch.optim.SGD without dampening: momentum as in Sutskever et al. (2013), weight decay added to the
/// gradient.
struct SgdOptions {
  float learning_rate = 1e-2f;  ///< above 0; PyTorch's lr
  float momentum = 0.0f;        ///< at least 0
  float weight_decay = 0.0f;    ///< at least 0
  bool nesterov = false;        ///< Nesterov's momentum; needs a momentum above 0
};

/// Which optimizer to use: `SgdOptions{.learning_rate = 0.1f, .momentum = 0.9f}`.
using OptimizerOptions = std::variant<AdamOptions, SgdOptions>;

}  // namespace convoy
