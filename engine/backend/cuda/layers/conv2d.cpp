// Conv2d, alone or with the ReLU behind it: y = relu(conv(x, w) + b) in one graph. The ReLU's backward masks
// dy first; then dx = dgrad(dy, w), dw = wgrad(x, dy), and db is a sum over dy's columns. Where cuDNN has no
// engine that adds a bias or takes the ReLU, it convolves only, and the batch norm kernel does the rest.
#include <fmt/format.h>

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/column_sum.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/backend/cuda/layers/weighted_tensors.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/core/trace.h"
#include "engine/model/layer_rules.h"
#include "kernels/batch_norm.h"
#include "kernels/convert.h"
#include "kernels/elementwise.h"

namespace convoy::cuda {
namespace {

using dnn::OperationGraph;
using dnn::Role;

}  // namespace

dnn::OperationGraph conv2d_forward_graph(const Conv2d& layer, bool relu, const Shape& x, DType type) {
  output_shape(layer, x);  // refuses what does not fit
  OperationGraph g(relu ? "conv2d+relu.fprop" : "conv2d.fprop");
  dnn::Value y = g.convolve(g.input(Role::x, x, type), g.input(Role::weight, weight_shape(layer), type),
                            window_of(layer));
  if (layer.bias) y = g.add(y, g.input(Role::bias, {1, layer.out_channels, 1, 1}));
  g.output(relu ? g.relu(y) : y, Role::y, type);
  return g;
}

dnn::OperationGraph conv2d_backward_data_graph(const Conv2d& layer, const Shape& x, DType type) {
  const Shape y = output_shape(layer, x);
  OperationGraph g("conv2d.dgrad");
  const dnn::Value dx = g.convolve_backward_data(
      g.input(Role::dy, y, type), g.input(Role::weight, weight_shape(layer), type), window_of(layer), x);
  g.output(dx, Role::dx, type);
  return g;
}

dnn::OperationGraph conv2d_backward_weight_graph(const Conv2d& layer, const Shape& x, DType type) {
  const Shape y = output_shape(layer, x);
  OperationGraph g("conv2d.wgrad");
  const dnn::Value dweight = g.convolve_backward_weight(g.input(Role::x, x, type), g.input(Role::dy, y, type),
                                                        window_of(layer), weight_shape(layer));
  g.output(dweight, Role::dweight, type);  // with bf16 inputs no engine writes fp32
  return g;
}

namespace {

/// A convolution alone, then bias and ReLU in place: batch norm's evaluation by mean 0, variance 1 and weight
/// 1.
class ConvolutionByParts {
 public:
  ConvolutionByParts(Context& context, Conv2d layer, bool relu, const WeightedTensors& t,
                     const TensorPtr& output)
      : context_(context), bias_(t.bias.value), output_(output), relu_(relu) {
    layer.bias = false;
    DeviceTensor& y = device(output);
    convolution_ =
        context.plan_store().request(conv2d_forward_graph(layer, false, t.x.value->shape(), y.dtype()),
                                     {{Role::x, device(t.x.value).data()},
                                      {Role::weight, compute_copy(t.weight.value).data()},
                                      {Role::y, y.data()}});
    zeros_ = context.make_tensor({layer.out_channels}, DType::float32);
    ones_ = context.make_tensor({layer.out_channels}, DType::float32);
    ones_->write(std::vector<double>(static_cast<std::size_t>(layer.out_channels), 1.0), context.stream());
  }

  void execute() {
    convolution_->execute();
    const DeviceTensor& y = device(output_);
    const Shape& shape = y.shape();
    kernels::batch_norm_evaluation(
        {shape[0] * shape[2] * shape[3], static_cast<std::int32_t>(shape[1]), y.dtype()},
        {.x = y.data(),
         .y = y.data(),
         .weight = ones_->as<float>(),
         .bias = (bias_ ? device(bias_) : *zeros_).as<float>(),
         .running_mean = zeros_->as<float>(),
         .running_var = ones_->as<float>(),
         .epsilon = 0.0f,
         .relu = relu_},
        context_.stream());
  }

 private:
  Context& context_;
  TensorPtr bias_;  // null without
  TensorPtr output_;
  bool relu_;
  std::shared_ptr<dnn::BoundGraph> convolution_;
  std::shared_ptr<DeviceTensor> zeros_, ones_;
};

class Conv2dOperation final : public Operation {
 public:
  Conv2dOperation(Context& context, const Conv2d& layer, bool relu, const WeightedTensors& t)
      : context_(context), layer_(layer), relu_(relu), t_(t) {
    const Shape& x = t.x.value->shape();
    const Shape y = output_shape(layer, x);
    require_shape("Conv2d: weight", t.weight.value->shape(), weight_shape(layer));
    require_bias("Conv2d", layer.bias, t.bias, layer.out_channels);
    output_ = context.make_activation(y, t.x.grad || t.weight.grad || t.bias.grad);
    dy_ = output_.grad;
    if (relu && dy_) dy_ = context.make_tensor(y, context.activation());
    DeviceTensor& weight = compute_copy(t.weight.value);

    std::vector<dnn::Binding> bindings = {{Role::x, device(t.x.value).data()},
                                          {Role::weight, weight.data()},
                                          {Role::y, device(output_.value).data()}};
    if (t.bias.value) bindings.push_back({Role::bias, device(t.bias.value).data()});
    const DType type = device(output_.value).dtype();
    PlanStore& store = context.plan_store();
    forward_ =
        store.request(conv2d_forward_graph(layer, relu, x, type), std::move(bindings), bias_and_relu());
    if (t.weight.grad) plan_weight_gradient(layer, x, type);
    if (t.x.grad) {
      backward_data_ =
          store.request(conv2d_backward_data_graph(layer, x, type), {{Role::dy, device(dy_).data()},
                                                                     {Role::weight, weight.data()},
                                                                     {Role::dx, device(t.x.grad).data()}});
    }
    if (t.bias.grad) bias_columns_.emplace(y[0] * y[2] * y[3], static_cast<std::int32_t>(y[1]));
  }

  void forward(Phase) override { by_parts_ ? by_parts_->execute() : forward_->execute(); }

  void backward() override {
    if (dy_ != output_.grad) mask();
    if (backward_weight_) {
      const trace::Range range(wgrad_);
      backward_weight_->execute();
      if (rounded_gradient_) {
        kernels::cast(rounded_gradient_->as<__nv_bfloat16>(), device(t_.weight.grad).as<float>(),
                      t_.weight.grad->shape().count(), context_.stream());
      }
    }
    if (bias_columns_) bias_columns_->sum(device(dy_), device(t_.bias.grad), context_.stream());
    if (!backward_data_) return;
    const trace::Range range(dgrad_);
    backward_data_->execute();
  }

 private:
  // Not in place: the gradient of the output may be memory that other operations read.
  void mask() {
    const DeviceTensor& y = device(output_.value);
    kernels::relu_backward({y.data(), device(output_.grad).data(), device(dy_).data()}, y.dtype(),
                           y.shape().count(), context_.stream());
  }

  // What prepare() makes where cuDNN does not do all of the forward at once.
  dnn::OwnKernel bias_and_relu() {
    if (!relu_ && !layer_.bias) return {};
    const char* rest = relu_ && layer_.bias ? "bias and ReLU" : relu_ ? "ReLU" : "bias";
    return {
        .name = fmt::format("{}, behind the convolution alone", rest), .make = [this, rest] {
          by_parts_.emplace(context_, layer_, relu_, t_, output_.value);
          const auto& say = context_.options().say;
          if (!say) return;
          say(fmt::format("cuDNN has no plan for a convolution of {} with {}: an own kernel does the latter",
                          t_.x.value->shape().str(), rest),
              Remedy::none);
        }};
  }

  void plan_weight_gradient(const Conv2d& layer, const Shape& x, DType type) {
    DeviceTensor* dweight = &device(t_.weight.grad);
    if (context_.activation() == DType::bfloat16) {
      rounded_gradient_ = context_.make_tensor(dweight->shape(), DType::bfloat16);
      dweight = rounded_gradient_.get();
    }
    backward_weight_ =
        context_.plan_store().request(conv2d_backward_weight_graph(layer, x, type),
                                      {{Role::x, device(t_.x.value).data()},
                                       {Role::dy, device(dy_).data()},
                                       {Role::dweight, dweight->data()}},
                                      conv2d_backward_weight_kernel(layer, x, context_.precision()));
  }

  Context& context_;
  trace::Name wgrad_{"wgrad"};
  trace::Name dgrad_{"dgrad"};
  Conv2d layer_;
  bool relu_;
  WeightedTensors t_;
  TensorPtr dy_;  // the gradient in front of the ReLU; the output's without one; null without gradients
  std::shared_ptr<dnn::BoundGraph> forward_;
  std::optional<ConvolutionByParts> by_parts_;  // where cuDNN has no plan for forward_
  std::shared_ptr<dnn::BoundGraph> backward_weight_;
  std::shared_ptr<dnn::BoundGraph> backward_data_;
  std::shared_ptr<DeviceTensor> rounded_gradient_;  // bf16 only
  std::optional<ColumnSum> bias_columns_;
};

}  // namespace

OperationPtr CudaBackend::make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x,
                                      const Variable& weight, const Variable& bias) {
  const WeightedTensors tensors{x, weight, bias};
  require_own("Conv2d", tensors, context_.activation());
  return std::make_unique<Conv2dOperation>(context_, layer, fuse_relu, tensors);
}

}  // namespace convoy::cuda
