// Linear, by oneDNN (weighted.h) or by own loops (direct_linear.h).
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/direct_linear.h"
#include "engine/backend/cpu/weighted.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {

OperationPtr CpuBackend::make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                                     const Variable& bias) {
  require_bias("Linear", layer.bias, bias, layer.out_features);
  WeightedLayer w{.name = "Linear",
                  .x = Bound("Linear: input", x),
                  .weight = Bound("Linear: weight", weight),
                  .bias = layer.bias ? Bound("Linear: bias", bias) : Bound(),
                  .output = {},
                  .weight_dims = {},
                  .fuse_relu = false,
                  .keep_x = true,
                  .window = {},
                  .plan = plan_linear};
  w.output = output_shape(layer, w.x.shape());
  require_shape("Linear: weight", w.weight.shape(), weight_shape(layer));
  w.weight_dims = w.x.value->dims();  // [N, in], or [N, C, H, W] of what was flattened
  w.weight_dims[0] = layer.out_features;
  if (suits_direct_linear(w)) return make_direct_linear(device_, std::move(w));
  return make_weighted(device_, std::move(w));
}

}  // namespace convoy::cpu
