// Conv2d, by oneDNN: weighted.h.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/in_floats.h"
#include "engine/backend/cpu/weighted.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

// Up to here floats are faster than bf16, for which oneDNN pads the input's channels to a whole vector, and
// the two copies cost less than that.
constexpr std::int64_t kFewChannels = 4;

Dims pair(const Extent& extent, std::int64_t less = 0) { return {extent[0] - less, extent[1] - less}; }

}  // namespace

OperationPtr CpuBackend::make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x,
                                     const Variable& weight, const Variable& bias) {
  require_bias("Conv2d", layer.bias, bias, layer.out_channels);
  const bool bf16 = as_reals("Conv2d: input", x.value)->type() == DataType::bf16;
  if (bf16 && layer.in_channels <= kFewChannels * layer.groups) {
    return in_floats(device_, "Conv2d: input", x, [&](const Variable& floats) {
      return make_conv2d(layer, fuse_relu, floats, weight, bias);
    });
  }
  WeightedLayer w{.name = "Conv2d",
                  .x = Bound("Conv2d: input", x),
                  .weight = Bound("Conv2d: weight", weight),
                  .bias = layer.bias ? Bound("Conv2d: bias", bias) : Bound(),
                  .output = {},
                  .weight_dims = {},
                  .fuse_relu = fuse_relu,
                  .keep_x = false,
                  .window = {},
                  .plan = plan_convolution};
  w.output = output_shape(layer, w.x.shape());
  require_shape("Conv2d: weight", w.weight.shape(), weight_shape(layer));
  w.weight_dims = dims_of(w.weight.shape());
  if (layer.groups > 1) {
    w.weight_dims[0] /= layer.groups;
    w.weight_dims.insert(w.weight_dims.begin(), layer.groups);
  }
  w.window.stride = pair(layer.stride);
  w.window.dilation = pair(layer.dilation, 1);
  w.window.padding = pair(layer.padding);
  return make_weighted(device_, std::move(w));
}

}  // namespace convoy::cpu
