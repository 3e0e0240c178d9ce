// What BatchNorm2d demands of its tensors, with a pool behind it or without.
#pragma once

#include "engine/backend/checks.h"
#include "engine/backend/cuda/runtime/context.h"
#include "engine/model/layer_rules.h"

namespace convoy::cuda {

inline bool has_gradient(const Variable& x, const BatchNormTensors& t) {
  return x.grad || t.weight.grad || t.bias.grad;
}

/// Throws UsageError for what does not fit.
inline void check_batch_norm(const Context& context, const BatchNorm2d& layer, const Variable& x,
                             const BatchNormTensors& t) {
  require_own("BatchNorm2d: input", x, context.activation());
  require_own("BatchNorm2d: weight", t.weight, DType::float32);
  require_own("BatchNorm2d: bias", t.bias, DType::float32);
  require_own("BatchNorm2d: running mean", t.running_mean, DType::float32);
  require_own("BatchNorm2d: running variance", t.running_var, DType::float32);
  output_shape(layer, x.value->shape());
  for (const TensorPtr& vector : {t.weight.value, t.bias.value, t.running_mean, t.running_var}) {
    require_shape("BatchNorm2d: parameter", vector->shape(), {layer.num_features});
  }
  if (has_gradient(x, t)) check_batch_statistics(x.value->shape());
}

/// Backward always writes all of a norm's gradients: what nobody wants goes to memory of its own.
inline TensorPtr gradient_or_spare(const Context& context, const TensorPtr& gradient, const Shape& shape,
                                   DType storage) {
  return gradient ? gradient : context.make_tensor(shape, storage);
}

}  // namespace convoy::cuda
