// Convolution and linear layer: both are one forward and two backward primitives over x, weights and bias.
// Parameters stay plain, in their arena; each primitive gets its own small copy of the weights.
#include <fmt/format.h>

#include <functional>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {
namespace {

/// What both kinds of layer have. `plan` makes a primitive from a spec.
struct WeightedLayer {
  std::string name;  // "Conv2d"
  Bound x, weight, bias;
  Shape output;
  Dims weight_dims;  // with the groups in front, if there are several
  bool fuse_relu;    // convolution only
  bool keep_x;       // plan for the layout that x has, rather than for the best one
  WeightedSpec window;
  Plan (*plan)(const dnnl::engine&, Pass, const WeightedSpec&);
};

// Not oneDNN's: that turns a NaN into a zero.
void relu_in_place(std::span<float> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  float* y = values.data();
#pragma omp parallel for simd schedule(static) if (count >= kParallelFrom)
  for (std::int64_t i = 0; i < count; ++i) y[i] = relu_passes(y[i]) ? y[i] : 0.0f;
}

class WeightedOperation final : public Operation {
 public:
  WeightedOperation(Device& device, WeightedLayer layer) : layer_(std::move(layer)) {
    const Bound& x = layer_.x;
    const Plan forward =
        make_plan(device, Pass::forward, layer_.keep_x ? x.value->layout() : any_layout(dims_of(x.shape())),
                  any_layout(dims_of(layer_.output)));
    const bool with_grad = x.grad || layer_.weight.grad || layer_.bias.grad;
    check_conv2d_relu(layer_.fuse_relu, with_grad);
    output_ = make_variable(device, layer_.output, forward.destination, with_grad);
    bind_forward(device, forward);
    if (x.grad) bind_backward_data(device, forward);
    if (layer_.weight.grad || layer_.bias.grad) bind_backward_weights(device, forward);
  }

  void forward(Phase) override {
    forward_->run();
    if (layer_.fuse_relu) relu_in_place(as_floats("output", output_.value)->floats());
  }

  void backward() override {
    if (backward_data_) backward_data_->run();
    if (backward_weights_) backward_weights_->run();
  }

 private:
  /// oneDNN has plain loops for layouts that it has no kernel for; reordering a tensor is faster than those.
  Plan make_plan(Device& device, Pass pass, const Layout& x, const Layout& y) const {
    WeightedSpec spec = layer_.window;
    spec.source = x;
    spec.weights = any_layout(layer_.weight_dims);
    if (layer_.bias.value) spec.bias = layer_.bias.value->layout();
    spec.destination = y;
    const std::string name = fmt::format("{} {}", layer_.name, layer_.x.shape().str());
    const Plan plan = planned(name, [&] { return layer_.plan(device.engine(), pass, spec); });
    if (!plan.is_reference()) return plan;
    spec.source = any_layout(dims_of(layer_.x.shape()));
    spec.destination = any_layout(dims_of(layer_.output));
    return planned(name, [&] { return layer_.plan(device.engine(), pass, spec); });
  }

  Stage::Argument weight(Device& device, int number, const CpuTensor& tensor, const Layout& wanted) const {
    return {number, tensor.viewed_as(device, layer_.weight_dims), wanted};
  }

  void bind_forward(Device& device, const Plan& plan) {
    const CpuTensor& y = *as_floats("output", output_.value);
    std::vector<Stage::Argument> reads = {
        {DNNL_ARG_SRC, layer_.x.value->memory(), plan.source},
        weight(device, DNNL_ARG_WEIGHTS, *layer_.weight.value, plan.weights)};
    if (const auto& bias = layer_.bias.value)
      reads.push_back({DNNL_ARG_BIAS, bias->memory(), bias->layout()});
    forward_.emplace(device, plan, reads,
                     std::vector<Stage::Argument>{{DNNL_ARG_DST, y.memory(), y.layout()}});
  }

  void bind_backward_data(Device& device, const Plan& forward) {
    const Plan plan = make_plan(device, Pass::backward_data, forward.source, forward.destination);
    const CpuTensor& dy = *as_floats("output gradient", output_.grad);
    backward_data_.emplace(
        device, plan,
        std::vector<Stage::Argument>{{DNNL_ARG_DIFF_DST, dy.memory(), plan.destination},
                                     weight(device, DNNL_ARG_WEIGHTS, *layer_.weight.value, plan.weights)},
        std::vector<Stage::Argument>{{DNNL_ARG_DIFF_SRC, layer_.x.grad->memory(), plan.source}});
  }

  void bind_backward_weights(Device& device, const Plan& forward) {
    const Plan plan = make_plan(device, Pass::backward_weights, forward.source, forward.destination);
    const CpuTensor& dy = *as_floats("output gradient", output_.grad);
    // oneDNN computes both gradients or neither: one that nobody wants goes nowhere.
    const auto wanted_or_spare = [&](const Bound& parameter) {
      return parameter.grad
                 ? parameter.grad
                 : std::make_shared<CpuTensor>(device, parameter.shape(), parameter.value->layout());
    };
    weight_grad_ = wanted_or_spare(layer_.weight);
    std::vector<Stage::Argument> writes = {
        weight(device, DNNL_ARG_DIFF_WEIGHTS, *weight_grad_, plan.weights)};
    if (layer_.bias.value) {
      bias_grad_ = wanted_or_spare(layer_.bias);
      writes.push_back({DNNL_ARG_DIFF_BIAS, bias_grad_->memory(), bias_grad_->layout()});
    }
    backward_weights_.emplace(
        device, plan,
        std::vector<Stage::Argument>{{DNNL_ARG_SRC, layer_.x.value->memory(), plan.source},
                                     {DNNL_ARG_DIFF_DST, dy.memory(), plan.destination}},
        writes);
  }

  WeightedLayer layer_;
  std::shared_ptr<CpuTensor> weight_grad_, bias_grad_;
  std::optional<Stage> forward_, backward_data_, backward_weights_;
};

Bound bound_bias(const std::string& name, bool has_bias, const Variable& bias, std::int64_t outputs) {
  if (!has_bias) {
    if (!bias.value) return {};
    throw UsageError(
        fmt::format("{}: a bias of shape {} for a layer without bias", name, bias.value->shape().str()));
  }
  Bound bound(name + ": bias", bias);
  require_shape(name + ": bias", bound.shape(), {outputs});
  return bound;
}

Dims pair(const Extent& extent, std::int64_t less = 0) { return {extent[0] - less, extent[1] - less}; }

}  // namespace

OperationPtr make_conv2d(Device& device, const Conv2d& layer, bool fuse_relu, const Variable& x,
                         const Variable& weight, const Variable& bias) {
  WeightedLayer w{.name = "Conv2d",
                  .x = Bound("Conv2d: input", x),
                  .weight = Bound("Conv2d: weight", weight),
                  .bias = bound_bias("Conv2d", layer.bias, bias, layer.out_channels),
                  .output = {},
                  .weight_dims = {},
                  .fuse_relu = fuse_relu,
                  .keep_x = false,
                  .window = {},
                  .plan = plan_convolution};
  w.output = conv2d_output(layer, w.x.shape());
  require_shape("Conv2d: weight", w.weight.shape(), conv2d_weight(layer));
  w.weight_dims = dims_of(w.weight.shape());
  if (layer.groups > 1) {
    w.weight_dims[0] /= layer.groups;
    w.weight_dims.insert(w.weight_dims.begin(), layer.groups);
  }
  w.window.stride = pair(layer.stride);
  w.window.dilation = pair(layer.dilation, 1);
  w.window.padding = pair(layer.padding);
  return std::make_unique<WeightedOperation>(device, std::move(w));
}

OperationPtr make_linear(Device& device, const Linear& layer, const Variable& x, const Variable& weight,
                         const Variable& bias) {
  WeightedLayer w{.name = "Linear",
                  .x = Bound("Linear: input", x),
                  .weight = Bound("Linear: weight", weight),
                  .bias = bound_bias("Linear", layer.bias, bias, layer.out_features),
                  .output = {},
                  .weight_dims = {},
                  .fuse_relu = false,
                  .keep_x = true,
                  .window = {},
                  .plan = plan_linear};
  w.output = linear_output(layer, w.x.shape(), w.weight.shape());
  w.weight_dims = dims_of(w.weight.shape());
  return std::make_unique<WeightedOperation>(device, std::move(w));
}

}  // namespace convoy::cpu
