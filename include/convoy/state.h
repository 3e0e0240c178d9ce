/// @file
/// The tensors of a model: names, shapes and initial values, as in PyTorch's state_dict.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "convoy/host_tensor.h"
#include "convoy/model.h"

namespace convoy {

/// What a tensor is to its layer, with PyTorch's names. The first two are trained; the others are the running
/// statistics of a batch norm.
enum class TensorRole { weight, bias, running_mean, running_var, num_batches_tracked };

/// One entry of a model's state dict.
struct TensorSpec {
  std::string name;  ///< "layer1.0.weight"
  Shape shape;       ///< PyTorch's: Conv2d [O, I / groups, KH, KW], Linear [O, I], others [C] or []
  TensorRole role = TensorRole::weight;  ///< tells parameters from statistics
  double init_bound = 0.0;       ///< Conv2d, Linear: uniform in [-bound, bound), bound = 1 / sqrt(fan_in)
  double init_constant = 0.0;    ///< the initial value if init_bound is 0
  DType dtype = DType::float32;  ///< int64 for num_batches_tracked

  /// Whether the optimizer updates it.
  bool trainable() const { return role == TensorRole::weight || role == TensorRole::bias; }
};

/// Every tensor of the model in `state_dict()` order. Throws UsageError for a model that `infer` refuses.
std::vector<TensorSpec> tensor_specs(const Model& model);

/// PyTorch's default initialisation. Weights and biases of Conv2d and Linear are uniform in [-b, b) with
/// b = 1 / sqrt(fan_in) (for weights: kaiming_uniform with a = sqrt(5)). Batch norm starts with weight 1,
/// bias 0, mean 0 and variance 1. Tensor k takes Philox stream k of `seed`, so the values do not depend on
/// the backend.
StateDict initial_state(const Model& model, std::uint64_t seed);

/// Throws Error unless `state` has exactly the model's names and shapes, in any order. The message names
/// `source`, where the state came from, and the first tensor that is missing, unexpected or of another shape.
void check_state(const Model& model, const StateDict& state, const std::string& source);

/// The state under the model's names, where it was saved from a model that wraps it: the parts `module` (of
/// DataParallel) and `_orig_mod` (of torch.compile) are left out of names, and a prefix that all names have.
/// `num_batches_tracked` is 0 where it is missing, as it is in PyTorch. `say` is called with a line that
/// names `source` if names were changed. Throws as check_state.
StateDict match_state(const Model& model, StateDict state, const std::string& source,
                      const std::function<void(const std::string& line)>& say = {});

/// Throws Error if a value is not a finite float. The message names `source`, where the state came from, and
/// the first tensor that has such a value.
void check_finite(const StateDict& state, const std::string& source);

}  // namespace convoy
