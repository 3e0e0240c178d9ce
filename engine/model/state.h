// The tensors a model owns: their names, shapes and first values, as PyTorch's state_dict has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/host_tensor.h"
#include "engine/model/model.h"

namespace convoy {

enum class TensorRole { weight, bias, running_mean, running_var, num_batches_tracked };

/// One entry of a model's state dict.
struct TensorSpec {
  std::string name;  // "layer1.0.weight"
  Shape shape;       // as PyTorch has it: Conv2d [O, I / groups, KH, KW], Linear [O, I], others [C] or []
  TensorRole role = TensorRole::weight;
  double init_bound = 0.0;     // conv and linear: first values are U(-bound, bound), bound = 1 / sqrt(fan_in)
  double init_constant = 0.0;  // where init_bound is 0
  DType dtype = DType::float32;

  bool trainable() const { return role == TensorRole::weight || role == TensorRole::bias; }
};

/// Every tensor of the model in `state_dict()` order.
std::vector<TensorSpec> tensor_specs(const Model& model);

/// PyTorch's default initialisation (kaiming_uniform with a = sqrt(5), which is U(-1/sqrt(fan_in), ..) for
/// weights and biases alike; batch norm starts at weight 1, bias 0, mean 0, variance 1). Tensor k draws from
/// Philox stream k of `seed`, so a layer's values do not depend on the backend.
StateDict initial_state(const Model& model, std::uint64_t seed);

/// Throws Error unless `state` has exactly the model's names and shapes; names the first that is missing,
/// unexpected or of another shape. `source` says where the state came from. Order does not matter.
void check_state(const Model& model, const StateDict& state, const std::string& source);

/// Throws Error if any value is no finite float; names the first tensor that holds one.
void check_finite(const StateDict& state, const std::string& source);

}  // namespace convoy
