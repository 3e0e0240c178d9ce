// Pooling: the average by oneDNN, the maximum by own loops, as PyTorch has it. The first maximum of a window
// in row-major order takes the gradient, and a NaN is the maximum (oneDNN's passes over it, which would hide
// a training that has diverged).
#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/in_floats.h"
#include "engine/backend/cpu/max_pool_loops.h"
#include "engine/backend/cpu/pool_plane.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

class MaxPoolOperation final : public Operation {
 public:
  MaxPoolOperation(Device& device, const MaxPool2d& layer, Bound x)
      : window_(window_of(layer)),
        x_(std::move(x)),
        y_shape_(output_shape(layer, x_.shape())),
        rows_(ChannelRows::of(*x_.value)),
        output_rows_(rows_.for_shape(y_shape_)),
        input_(Relaid::input(device, x_.value->memory(), rows_.layout())) {
    output_ = make_variable(device, y_shape_, output_rows_.layout(), x_.grad != nullptr);
    y_ = Bound("MaxPool2d: output", output_);
    taps_.resize(y_.value->floats().size());
    if (x_.grad) input_gradient_.emplace(Relaid::output(device, x_.grad->memory(), rows_.layout()));
  }

  void forward(Phase) override {
    input_.copy();
    const PoolPlane plane = this->plane();
    const auto* x = static_cast<const float*>(input_.memory().get_data_handle());
    float* y = y_.value->floats().data();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows_.planes(); ++i) {
      const std::int64_t to = output_rows_.begin(i);
      max_pool(plane, x + rows_.begin(i), y + to, taps_.data() + to);
    }
  }

  void backward() override {
    if (!input_gradient_) return;
    const PoolPlane plane = this->plane();
    const float* dy = y_.grad->floats().data();
    auto* dx = static_cast<float*>(input_gradient_->memory().get_data_handle());
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows_.planes(); ++i) {
      const std::int64_t from = output_rows_.begin(i);
      max_pool_backward(plane, dy + from, taps_.data() + from, dx + rows_.begin(i));
    }
    input_gradient_->copy();
  }

 private:
  PoolPlane plane() const { return pool_plane(window_, rows_, x_.shape(), y_shape_); }

  Window window_;
  Bound x_, y_;
  Shape y_shape_;
  ChannelRows rows_, output_rows_;
  Relaid input_;
  std::optional<Relaid> input_gradient_;
  std::vector<std::int32_t> taps_;  // for each output, which tap of its window was the maximum
};

Dims pair(const Extent& extent) { return {extent[0], extent[1]}; }

class AvgPoolOperation final : public Operation {
 public:
  AvgPoolOperation(Device& device, const AvgPool2d& layer, Bound x) : x_(std::move(x)) {
    const Window window = window_of(layer);
    const Shape y = output_shape(layer, x_.shape());
    PoolSpec spec{.algorithm = layer.count_include_pad ? dnnl::algorithm::pooling_avg_include_padding
                                                       : dnnl::algorithm::pooling_avg_exclude_padding,
                  .source = x_.value->layout(),
                  .destination = any_layout(dims_of(y), DataType::f32),
                  .kernel = pair(window.kernel_size),
                  .stride = pair(window.stride),
                  .padding = pair(window.padding)};
    const std::string what = "AvgPool2d " + x_.shape().str();
    const PrimitivePlan plan =
        planned(what, [&] { return plan_pool(device.engine(), PropKind::forward, spec); });
    output_ = make_variable(device, y, plan.destination, x_.grad != nullptr);
    Task::Arguments arguments = {{DNNL_ARG_SRC, x_.value->memory()},
                                 {DNNL_ARG_DST, as_floats("output", output_.value)->memory()}};
    forward_.emplace(device, plan, arguments);
    if (!x_.grad) return;

    spec.destination = plan.destination;
    const PrimitivePlan back =
        planned(what, [&] { return plan_pool(device.engine(), PropKind::backward_data, spec); });
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

OperationPtr CpuBackend::make_max_pool(const MaxPool2d& layer, const Variable& x) {
  return in_floats(device_, "MaxPool2d: input", x, [&](const Variable& floats) {
    return std::make_unique<MaxPoolOperation>(device_, layer, Bound("MaxPool2d: input", floats));
  });
}

OperationPtr CpuBackend::make_avg_pool(const AvgPool2d& layer, const Variable& x) {
  return in_floats(device_, "AvgPool2d: input", x, [&](const Variable& floats) {
    return std::make_unique<AvgPoolOperation>(device_, layer, Bound("AvgPool2d: input", floats));
  });
}

}  // namespace convoy::cpu
