// BatchNorm2d, alone or with the ReLU behind it: one graph forward, one backward (normalise again, mask,
// differentiate). Where cuDNN has no engine (channels that are no multiple of 4, sm_75) the own kernel stands
// in.
#include "kernels/batch_norm.h"

#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/batch_norm_checks.h"
#include "engine/backend/cuda/layers/column_sum.h"
#include "engine/backend/cuda/layers/operation_graphs.h"

namespace convoy::cuda {

using dnn::OperationGraph;
using dnn::Role;
using dnn::Value;

dnn::OperationGraph batch_norm_training_graph(const Shape& x, bool relu, DType type) {
  OperationGraph g(relu ? "batch_norm+relu.training" : "batch_norm.training");
  const Shape c{1, x[1], 1, 1};
  const auto out = g.batch_norm_training({.x = g.input(Role::x, x, type),
                                          .scale = g.input(Role::scale, c),
                                          .bias = g.input(Role::bias, c),
                                          .epsilon = g.scalar(Role::epsilon),
                                          .momentum = g.scalar(Role::momentum),
                                          .running_mean = g.input(Role::running_mean, c),
                                          .running_var = g.input(Role::running_var, c)});
  g.output(relu ? g.relu(out.y) : out.y, Role::y, type);
  g.output(out.saved_mean, Role::saved_mean);
  g.output(out.saved_inv_std, Role::saved_inv_std);
  g.output(out.next_running_mean, Role::next_running_mean);
  g.output(out.next_running_var, Role::next_running_var);
  return g;
}

dnn::OperationGraph batch_norm_backward_graph(const Shape& x, bool relu, DType type) {
  OperationGraph g(relu ? "batch_norm+relu.backward" : "batch_norm.backward");
  const Shape c{1, x[1], 1, 1};
  const Value input = g.input(Role::x, x, type);
  const Value scale = g.input(Role::scale, c);
  const Value mean = g.input(Role::saved_mean, c);
  const Value inv_std = g.input(Role::saved_inv_std, c);
  Value dy = g.input(Role::dy, x, type);
  if (relu) {  // the mask is that of the normalised value, made again rather than kept
    dy = g.relu_backward(dy, g.batch_norm_inference(input, scale, g.input(Role::bias, c), mean, inv_std));
  }
  const auto out = g.batch_norm_backward(input, dy, scale, mean, inv_std);
  g.output(out.dx, Role::dx, type);
  g.output(out.dscale, Role::dscale);
  g.output(out.dbias, Role::dbias);
  return g;
}

namespace {

class BatchNormOperation final : public Operation {
 public:
  BatchNormOperation(Context& context, const BatchNorm2d& layer, bool relu, const Variable& x,
                     const BatchNormTensors& t)
      : context_(context),
        relu_(relu),
        epsilon_(static_cast<float>(layer.eps)),
        momentum_(static_cast<float>(layer.momentum)),
        x_(x),
        t_(t) {
    const Shape& shape = x.value->shape();
    output_ = context.make_activation(shape, has_gradient(x, t));
    saved_mean_ = context.make_tensor({layer.num_features}, DType::float32);
    saved_inv_std_ = context.make_tensor({layer.num_features}, DType::float32);
    scratch_.emplace(rows(), channels());
    if (output_.grad) {
      dx_ = gradient_or_spare(context, x.grad, shape, context.activation());
      dscale_ = gradient_or_spare(context, t.weight.grad, {layer.num_features}, DType::float32);
      dbias_ = gradient_or_spare(context, t.bias.grad, {layer.num_features}, DType::float32);
      plan();
    }
  }

  void forward(Phase phase) override {
    if (phase == Phase::evaluation) return evaluate();
    check_batch_statistics(x_.value->shape());
    if (training_ && training_->available()) return training_->execute();
    kernels::batch_norm_training(shape(),
                                 {.x = device(x_.value).data(),
                                  .y = device(output_.value).data(),
                                  .weight = device(t_.weight.value).as<float>(),
                                  .bias = device(t_.bias.value).as<float>(),
                                  .running_mean = device(t_.running_mean).as<float>(),
                                  .running_var = device(t_.running_var).as<float>(),
                                  .saved_mean = saved_mean_->as<float>(),
                                  .saved_inverse_std = saved_inv_std_->as<float>(),
                                  .scratch = scratch_->scratch(),
                                  .epsilon = epsilon_,
                                  .momentum = momentum_,
                                  .relu = relu_},
                                 context_.stream());
  }

  void backward() override {
    if (!output_.grad) return;
    if (backward_ && backward_->available()) return backward_->execute();
    kernels::batch_norm_backward(shape(),
                                 {.x = device(x_.value).data(),
                                  .y = relu_ ? device(output_.value).data() : nullptr,
                                  .dy = device(output_.grad).data(),
                                  .dx = x_.grad ? device(x_.grad).data() : nullptr,
                                  .weight = device(t_.weight.value).as<float>(),
                                  .saved_mean = saved_mean_->as<float>(),
                                  .saved_inverse_std = saved_inv_std_->as<float>(),
                                  .dweight = device(dscale_).as<float>(),
                                  .dbias = device(dbias_).as<float>(),
                                  .scratch = scratch_->scratch()},
                                 context_.stream());
  }

 private:
  std::int64_t rows() const {
    const Shape& s = x_.value->shape();
    return s[0] * s[2] * s[3];
  }
  std::int32_t channels() const { return static_cast<std::int32_t>(x_.value->shape()[1]); }
  kernels::BatchNormShape shape() const { return {rows(), channels(), device(x_.value).dtype()}; }

  void evaluate() {
    kernels::batch_norm_evaluation(shape(),
                                   {.x = device(x_.value).data(),
                                    .y = device(output_.value).data(),
                                    .weight = device(t_.weight.value).as<float>(),
                                    .bias = device(t_.bias.value).as<float>(),
                                    .running_mean = device(t_.running_mean).as<float>(),
                                    .running_var = device(t_.running_var).as<float>(),
                                    .epsilon = epsilon_,
                                    .relu = relu_},
                                   context_.stream());
  }

  void plan() {
    const Shape& x = x_.value->shape();
    const DType type = device(x_.value).dtype();
    using Bindings = std::vector<dnn::Binding>;
    const dnn::OwnKernel own_kernel{.name = "batch norm", .launches = 2};
    // The running statistics are updated in place: cuDNN reads the old and writes the new element by element.
    training_ =
        context_.plan_store().request(batch_norm_training_graph(x, relu_, type),
                                      Bindings{{Role::x, device(x_.value).data()},
                                               {Role::scale, device(t_.weight.value).data()},
                                               {Role::bias, device(t_.bias.value).data()},
                                               {Role::epsilon, &epsilon_},
                                               {Role::momentum, &momentum_},
                                               {Role::running_mean, device(t_.running_mean).data()},
                                               {Role::running_var, device(t_.running_var).data()},
                                               {Role::y, device(output_.value).data()},
                                               {Role::saved_mean, saved_mean_->data()},
                                               {Role::saved_inv_std, saved_inv_std_->data()},
                                               {Role::next_running_mean, device(t_.running_mean).data()},
                                               {Role::next_running_var, device(t_.running_var).data()}},
                                      own_kernel);
    Bindings bindings = {
        {Role::x, device(x_.value).data()},      {Role::scale, device(t_.weight.value).data()},
        {Role::saved_mean, saved_mean_->data()}, {Role::saved_inv_std, saved_inv_std_->data()},
        {Role::dy, device(output_.grad).data()}, {Role::dx, device(dx_).data()},
        {Role::dscale, device(dscale_).data()},  {Role::dbias, device(dbias_).data()}};
    if (relu_) bindings.push_back({Role::bias, device(t_.bias.value).data()});
    backward_ = context_.plan_store().request(batch_norm_backward_graph(x, relu_, type), std::move(bindings),
                                              own_kernel);
  }

  Context& context_;
  bool relu_;
  float epsilon_;
  float momentum_;
  Variable x_;
  BatchNormTensors t_;
  std::shared_ptr<DeviceTensor> saved_mean_;
  std::shared_ptr<DeviceTensor> saved_inv_std_;
  TensorPtr dx_, dscale_, dbias_;  // null without a backward
  std::optional<ColumnSum> scratch_;
  std::shared_ptr<dnn::BoundGraph> training_;  // null without a backward, and so the next
  std::shared_ptr<dnn::BoundGraph> backward_;
};

}  // namespace

OperationPtr CudaBackend::make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                                          const BatchNormTensors& tensors) {
  check_batch_norm(context_, layer, x, tensors);
  return std::make_unique<BatchNormOperation>(context_, layer, fuse_relu, x, tensors);
}

}  // namespace convoy::cuda
