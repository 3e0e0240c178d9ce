#include "engine/backend/cpu/weighted.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "engine/backend/cpu/direct_weight_gradient.h"
#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/backend/cpu/loops.h"

namespace convoy::cpu {
namespace {

class WeightedOperation final : public Operation {
 public:
  WeightedOperation(Device& device, WeightedLayer layer) : layer_(std::move(layer)) {
    const Bound& x = layer_.x;
    const PrimitivePlan forward =
        make_plan(device, PropKind::forward,
                  layer_.keep_x ? x.value->layout() : any_layout(x.value->dims(), x.value->type()),
                  any_layout(dims_of(layer_.output), x.value->type()));
    const bool with_grad = x.grad || layer_.weight.grad || layer_.bias.grad;
    output_ = make_variable(device, layer_.output, forward.destination, with_grad);
    y_ = Bound("output", output_);
    dy_ = y_.grad;
    if (layer_.fuse_relu && dy_) {
      dy_ = std::make_shared<CpuTensor>(device, layer_.output, forward.destination);
    }
    bind_forward(device, forward);
    if (x.grad) bind_backward_data(device, forward);
    if (!layer_.weight.grad && !layer_.bias.grad) return;
    if (DirectWeightGradient::suits(layer_, *dy_)) {
      direct_.emplace(device, layer_, dy_);
    } else {
      bind_backward_weights(device, forward);
    }
  }

  void forward(Phase) override {
    forward_->run();
    // Not oneDNN's ReLU: that turns a NaN into a zero.
    if (layer_.fuse_relu) mask(*y_.value, *y_.value);
  }

  void backward() override {
    if (dy_ != y_.grad) mask(*y_.grad, *dy_);
    if (backward_data_) backward_data_->run();
    if (direct_) direct_->run();
    if (backward_weights_) backward_weights_->run();
  }

 private:
  DataType type() const { return layer_.x.value->type(); }

  /// to = `from` where the ReLU let y pass.
  void mask(const CpuTensor& from, const CpuTensor& to) const {
    by_type(to, [&]<typename T>() {
      combine_all<T>(mask_by_relu, y_.value->values<T>(), from.values<T>(), to.values<T>());
    });
  }

  /// oneDNN has plain loops for layouts that it has no kernel for; reordering a tensor is faster than those.
  PrimitivePlan make_plan(Device& device, PropKind pass, const Layout& x, const Layout& y) const {
    WeightedSpec spec = layer_.window;
    spec.source = x;
    spec.weights = any_layout(layer_.weight_dims, type());
    spec.weight_gradient = any_layout(layer_.weight_dims, DataType::f32);
    if (layer_.bias.value) spec.bias = layer_.bias.value->layout();
    spec.destination = y;
    const std::string name = fmt::format("{} {}", layer_.name, layer_.x.shape().str());
    const PrimitivePlan plan = planned(name, [&] { return layer_.plan(device.engine(), pass, spec); });
    if (!plan.is_reference()) return plan;
    spec.source = any_layout(layer_.x.value->dims(), type());
    spec.destination = any_layout(dims_of(layer_.output), type());
    return planned(name, [&] { return layer_.plan(device.engine(), pass, spec); });
  }

  Stage::Argument weight(Device& device, int number, const CpuTensor& tensor, const Layout& wanted) const {
    return {number, tensor.viewed_as(device, layer_.weight_dims), wanted};
  }

  void bind_forward(Device& device, const PrimitivePlan& plan) {
    const CpuTensor& y = *y_.value;
    std::vector<Stage::Argument> reads = {
        {DNNL_ARG_SRC, layer_.x.value->memory(), plan.source},
        weight(device, DNNL_ARG_WEIGHTS, *layer_.weight.value, plan.weights)};
    if (const auto& bias = layer_.bias.value)
      reads.push_back({DNNL_ARG_BIAS, bias->memory(), bias->layout()});
    forward_.emplace(device, plan, reads,
                     std::vector<Stage::Argument>{{DNNL_ARG_DST, y.memory(), y.layout()}});
  }

  void bind_backward_data(Device& device, const PrimitivePlan& forward) {
    const PrimitivePlan plan =
        make_plan(device, PropKind::backward_data, forward.source, forward.destination);
    backward_data_.emplace(
        device, plan,
        std::vector<Stage::Argument>{{DNNL_ARG_DIFF_DST, dy_->memory(), plan.destination},
                                     weight(device, DNNL_ARG_WEIGHTS, *layer_.weight.value, plan.weights)},
        std::vector<Stage::Argument>{{DNNL_ARG_DIFF_SRC, layer_.x.grad->memory(), plan.source}});
  }

  void bind_backward_weights(Device& device, const PrimitivePlan& forward) {
    const PrimitivePlan plan =
        make_plan(device, PropKind::backward_weights, forward.source, forward.destination);
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
                                     {DNNL_ARG_DIFF_DST, dy_->memory(), plan.destination}},
        writes);
  }

  WeightedLayer layer_;
  Bound y_;
  std::shared_ptr<CpuTensor> dy_;  // the gradient in front of the ReLU; the output's without one
  std::shared_ptr<CpuTensor> weight_grad_, bias_grad_;
  std::optional<Stage> forward_, backward_data_, backward_weights_;
  std::optional<DirectWeightGradient> direct_;  // in place of backward_weights_
};

}  // namespace

OperationPtr make_weighted(Device& device, WeightedLayer layer) {
  return std::make_unique<WeightedOperation>(device, std::move(layer));
}

}  // namespace convoy::cpu
