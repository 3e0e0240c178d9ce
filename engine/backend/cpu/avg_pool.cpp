// Average pooling, by oneDNN.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {
namespace {

Dims pair(const Extent& extent) { return {extent[0], extent[1]}; }

class AvgPoolOperation final : public Operation {
 public:
  AvgPoolOperation(Device& device, const AvgPool2d& layer, Bound x) : x_(std::move(x)) {
    const PoolWindow window = pool_window(layer);
    const Shape y = pool_output("AvgPool2d", window, x_.shape());
    PoolSpec spec{.algorithm = layer.count_include_pad ? dnnl::algorithm::pooling_avg_include_padding
                                                       : dnnl::algorithm::pooling_avg_exclude_padding,
                  .source = x_.value->layout(),
                  .destination = any_layout(dims_of(y)),
                  .kernel = pair(window.kernel),
                  .stride = pair(window.stride),
                  .padding = pair(window.padding)};
    const std::string what = "AvgPool2d " + x_.shape().str();
    const Plan plan = planned(what, [&] { return plan_pool(device.engine(), Pass::forward, spec); });
    output_ = make_variable(device, y, plan.destination, x_.grad != nullptr);
    Task::Arguments arguments = {{DNNL_ARG_SRC, x_.value->memory()},
                                 {DNNL_ARG_DST, as_floats("output", output_.value)->memory()}};
    forward_.emplace(device, plan, arguments);
    if (!x_.grad) return;

    spec.destination = plan.destination;
    const Plan back = planned(what, [&] { return plan_pool(device.engine(), Pass::backward_data, spec); });
    arguments = {{DNNL_ARG_DIFF_DST, as_floats("output gradient", output_.grad)->memory()},
                 {DNNL_ARG_DIFF_SRC, x_.grad->memory()}};
    backward_.emplace(device, back, arguments);
  }

  void forward(Phase) override { forward_->run(); }
  void backward() override {
    if (backward_) backward_->run();
  }

 private:
  Bound x_;
  std::optional<Task> forward_, backward_;
};

}  // namespace

OperationPtr make_avg_pool(Device& device, const AvgPool2d& layer, const Variable& x) {
  return std::make_unique<AvgPoolOperation>(device, layer, Bound("AvgPool2d: input", x));
}

}  // namespace convoy::cpu
