// Linear: three GEMMs. The bias (rounded as the output is) and its gradient (fp32, as the weights') ride on
// them as epilogues; where cuBLAS has none, own kernels stand in.
#include "kernels/linear.h"

#include <cuda_bf16.h>

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/column_sum.h"
#include "engine/backend/cuda/layers/gemm.h"
#include "engine/backend/cuda/layers/weighted_tensors.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/core/trace.h"
#include "engine/model/layer_rules.h"

namespace convoy::cuda {
namespace {

class LinearOperation final : public Operation {
 public:
  LinearOperation(Context& context, const Linear& layer, const WeightedTensors& t)
      : context_(context), t_(t) {
    const Shape y = output_shape(layer, t.x.value->shape());
    require_shape("Linear: weight", t.weight.value->shape(), weight_shape(layer));
    require_bias("Linear", layer.bias, t.bias, layer.out_features);
    rows_ = y[0];
    in_ = layer.in_features;
    out_ = layer.out_features;
    order_columns(t.weight, device(t.x.value).order(), context.stream());
    output_ = context.make_activation(y, t.x.grad || t.weight.grad || t.bias.grad);

    forward_.emplace(context, Product{.a = images(t.x.value),
                                      .b = weight(/*transposed=*/true),
                                      .c = logits(output_.value),
                                      .epilogue = t.bias.value ? Epilogue::bias : Epilogue::none,
                                      .bias = t.bias.value ? &compute_copy(t.bias.value) : nullptr,
                                      .stand_in = "all of it"});
    if (t.x.grad) {
      backward_data_.emplace(context,
                             Product{.a = logits(output_.grad), .b = weight(), .c = images(t.x.grad)});
    }
    if (t.weight.grad) {
      make_weight_gradient();
    } else if (t.bias.grad) {
      bias_columns_.emplace(rows_, static_cast<std::int32_t>(out_));
    }
  }

  void forward(Phase) override {
    if (forward_->available()) return forward_->execute();
    kernels::linear_forward({.x = device(t_.x.value).data(),
                             .weight = compute_copy(t_.weight.value).data(),
                             .bias = t_.bias.value ? device(t_.bias.value).as<float>() : nullptr,
                             .y = device(output_.value).data(),
                             .dtype = device(output_.value).dtype(),
                             .rows = rows_,
                             .in_features = in_,
                             .out_features = out_},
                            context_.stream());
  }

  void backward() override {
    if (backward_weight_) {
      const trace::Range range(wgrad_);
      backward_weight_->execute();
    }
    if (bias_columns_) bias_columns_->sum(device(output_.grad), device(t_.bias.grad), context_.stream());
    if (!backward_data_) return;
    const trace::Range range(dgrad_);
    backward_data_->execute();
  }

 private:
  Matrix matrix(DeviceTensor& tensor, std::int64_t rows, std::int64_t columns) const {
    return {tensor.data(), tensor.dtype(), rows, columns};
  }
  Matrix images(const TensorPtr& tensor) const { return matrix(device(tensor), rows_, in_); }
  Matrix logits(const TensorPtr& tensor) const { return matrix(device(tensor), rows_, out_); }
  Matrix weight(bool transposed = false) const {
    Matrix result = matrix(compute_copy(t_.weight.value), out_, in_);
    result.transposed = transposed;
    return result;
  }

  void make_weight_gradient() {
    Product product{
        .a = logits(output_.grad), .b = images(t_.x.value), .c = matrix(device(t_.weight.grad), out_, in_)};
    product.a.transposed = true;
    if (t_.bias.grad) {
      Product with_bias = product;
      with_bias.epilogue = Epilogue::bias_gradient;
      with_bias.bias = &device(t_.bias.grad);
      with_bias.stand_in = "the bias gradient";
      backward_weight_.emplace(context_, with_bias);
      if (backward_weight_->available()) return;
      bias_columns_.emplace(rows_, static_cast<std::int32_t>(out_));
    }
    backward_weight_.emplace(context_, product);
  }

  Context& context_;
  trace::Name wgrad_{"wgrad"};
  trace::Name dgrad_{"dgrad"};
  WeightedTensors t_;
  std::int64_t rows_ = 0;
  std::int64_t in_ = 0;
  std::int64_t out_ = 0;
  std::optional<Gemm> forward_;
  std::optional<Gemm> backward_data_;
  std::optional<Gemm> backward_weight_;
  std::optional<ColumnSum> bias_columns_;  // where no epilogue sums the bias gradient
};

}  // namespace

OperationPtr CudaBackend::make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                                      const Variable& bias) {
  const WeightedTensors tensors{x, weight, bias};
  require_own("Linear", tensors, context_.activation());
  return std::make_unique<LinearOperation>(context_, layer, tensors);
}

}  // namespace convoy::cuda
