// GroupNorm, by own kernels: two launches forward, three backward.
#include "kernels/group_norm.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/column_sum.h"
#include "engine/model/layer_rules.h"

namespace convoy::cuda {
namespace {

/// Null where there is no tensor.
float* floats(const TensorPtr& tensor) { return tensor ? device(tensor).as<float>() : nullptr; }

class GroupNormOperation final : public Operation {
 public:
  GroupNormOperation(Context& context, const GroupNorm& layer, const Variable& x, const Variable& weight,
                     const Variable& bias)
      : context_(context), layer_(layer), x_(x), weight_(weight), bias_(bias) {
    const Shape& shape = x.value->shape();
    output_ = context.make_activation(shape, x.grad || weight.grad || bias.grad);
    const Shape statistics{shape[0], layer.num_groups};
    saved_mean_ = context.make_tensor(statistics, DType::float32);
    saved_inverse_std_ = context.make_tensor(statistics, DType::float32);
    if (x.grad) {
      mean_g_ = context.make_tensor(statistics, DType::float32);
      mean_g_xhat_ = context.make_tensor(statistics, DType::float32);
    }
    if (weight.grad || bias.grad) scratch_.emplace(this->shape().rows(), this->shape().channels);
  }

  void forward(Phase) override {
    kernels::group_norm_forward(shape(),
                                {.x = device(x_.value).data(),
                                 .y = device(output_.value).data(),
                                 .weight = floats(weight_.value),
                                 .bias = floats(bias_.value),
                                 .saved_mean = floats(saved_mean_),
                                 .saved_inverse_std = floats(saved_inverse_std_),
                                 .epsilon = static_cast<float>(layer_.eps)},
                                context_.stream());
  }

  void backward() override {
    if (!output_.grad) return;
    kernels::group_norm_backward(shape(),
                                 {.x = device(x_.value).data(),
                                  .dy = device(output_.grad).data(),
                                  .dx = x_.grad ? device(x_.grad).data() : nullptr,
                                  .weight = floats(weight_.value),
                                  .saved_mean = floats(saved_mean_),
                                  .saved_inverse_std = floats(saved_inverse_std_),
                                  .mean_g = floats(mean_g_),
                                  .mean_g_xhat = floats(mean_g_xhat_),
                                  .dweight = floats(weight_.grad),
                                  .dbias = floats(bias_.grad),
                                  .scratch = scratch_ ? scratch_->scratch() : kernels::ColumnScratch{}},
                                 context_.stream());
  }

 private:
  kernels::GroupNormShape shape() const {
    const Shape& s = x_.value->shape();
    return {.images = s[0],
            .pixels = s[2] * s[3],
            .channels = static_cast<std::int32_t>(s[1]),
            .groups = static_cast<std::int32_t>(layer_.num_groups),
            .dtype = device(x_.value).dtype()};
  }

  Context& context_;
  GroupNorm layer_;
  Variable x_, weight_, bias_;                // the last two empty without affine
  TensorPtr saved_mean_, saved_inverse_std_;  // [N, groups]
  TensorPtr mean_g_, mean_g_xhat_;            // the same; null if x has no gradient
  std::optional<ColumnSum> scratch_;
};

}  // namespace

OperationPtr CudaBackend::make_group_norm(const GroupNorm& layer, const Variable& x, const Variable& weight,
                                          const Variable& bias) {
  require_own("GroupNorm: input", x, context_.activation());
  output_shape(layer, x.value->shape());  // refuses what does not fit
  require_affine("GroupNorm", layer.affine, weight, bias, layer.num_channels);
  if (!layer.affine) return std::make_unique<GroupNormOperation>(context_, layer, x, Variable{}, Variable{});
  require_own("GroupNorm: weight", weight, DType::float32);
  require_own("GroupNorm: bias", bias, DType::float32);
  return std::make_unique<GroupNormOperation>(context_, layer, x, weight, bias);
}

}  // namespace convoy::cuda
