#include "engine/model/layer_tensors.h"

#include <cmath>

#include "engine/model/layer_shape.h"

namespace convoy {
namespace {

std::vector<TensorSpec> weight_and_bias(const Shape& weight, bool bias) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in(weight)));
  std::vector<TensorSpec> specs = {
      {.name = "weight", .shape = weight, .role = TensorRole::weight, .init_bound = bound}};
  if (bias) {
    specs.push_back({.name = "bias", .shape = {weight[0]}, .role = TensorRole::bias, .init_bound = bound});
  }
  return specs;
}

std::vector<TensorSpec> tensors(const Conv2d& layer) {
  return weight_and_bias(weight_shape(layer), layer.bias);
}

std::vector<TensorSpec> tensors(const Linear& layer) {
  return weight_and_bias(weight_shape(layer), layer.bias);
}

std::vector<TensorSpec> tensors(const BatchNorm2d& layer) {
  const Shape channels{layer.num_features};
  return {
      {.name = "weight", .shape = channels, .role = TensorRole::weight, .init_constant = 1.0},
      {.name = "bias", .shape = channels, .role = TensorRole::bias},
      {.name = "running_mean", .shape = channels, .role = TensorRole::running_mean},
      {.name = "running_var", .shape = channels, .role = TensorRole::running_var, .init_constant = 1.0},
      {.name = "num_batches_tracked",
       .shape = {},
       .role = TensorRole::num_batches_tracked,
       .dtype = DType::int64},
  };
}

template <typename Other>
std::vector<TensorSpec> tensors(const Other&) {
  return {};
}

}  // namespace

std::vector<TensorSpec> layer_tensors(const Layer& layer) {
  return std::visit([](const auto& alternative) { return tensors(alternative); }, layer);
}

std::int64_t fan_in(const Shape& weight) { return weight.count() / weight[0]; }

}  // namespace convoy
