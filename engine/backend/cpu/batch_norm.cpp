// Batch norm, with the ReLU behind it in the same pass over memory. Own loops: oneDNN's sum a channel's tens
// of thousands of values in one float and lose three digits of its variance, which gradients then lose, too;
// and its fused ReLU turns a NaN into a zero.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/batch_norm_channels.h"
#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

template <typename T>
class BatchNormOperation final : public Operation {
 public:
  BatchNormOperation(Device& device, const BatchNorm2d& layer, bool fuse_relu, Bound x,
                     const BatchNormTensors& tensors, Communicator* group)
      : relu_(fuse_relu),
        x_(std::move(x)),
        rows_(ChannelRows::of(*x_.value)),
        channels_(layer, tensors, x_.shape(), rows_, group),
        input_(Relaid::input(device, x_.value->memory(), rows_.layout())) {
    const bool with_grad = x_.grad || channels_.with_grad();
    if (with_grad) check_batch_statistics(x_.shape());
    output_ = make_variable(device, x_.shape(), rows_.layout(), with_grad);
    y_ = Bound("BatchNorm2d: output", output_);
    if (x_.grad) input_gradient_.emplace(Relaid::output(device, x_.grad->memory(), rows_.layout()));
  }

  void forward(Phase phase) override {
    input_.copy();
    channels_.prepare(phase, x());
    normalize_all();
  }

  void backward() override {
    if (!y_.grad) return;
    channels_.sum_gradients([&](std::int64_t plane, std::int64_t block, DoubleRow& sum, DoubleRow& products) {
      const std::int64_t begin = rows_.begin(plane);
      add_gradients({.x = x() + begin,
                     .dy = y_.grad->template values<T>().data() + begin,
                     .size = rows_.plane_size,
                     .row = rows_.row(),
                     .mean = channels_.mean(block),
                     .scale = channels_.scale(block),
                     .shift = channels_.shift(block),
                     .relu = relu_,
                     .sum = sum,
                     .products = products});
    });
    if (!input_gradient_) return;
    differentiate_all();
    input_gradient_->copy();
  }

 private:
  const T* x() const { return static_cast<const T*>(input_.memory().get_data_handle()); }

  void normalize_all() {
    T* y = y_.value->template values<T>().data();
#pragma omp parallel for schedule(static)
    for (std::int64_t plane = 0; plane < rows_.planes(); ++plane) {
      const std::int64_t begin = rows_.begin(plane);
      const std::int64_t block = plane % rows_.blocks;
      normalize({.x = x() + begin,
                 .y = y + begin,
                 .size = rows_.plane_size,
                 .row = rows_.row(),
                 .mean = channels_.mean(block),
                 .scale = channels_.scale(block),
                 .shift = channels_.shift(block),
                 .relu = relu_});
    }
  }

  void differentiate_all() {
    auto* dx = static_cast<T*>(input_gradient_->memory().get_data_handle());
#pragma omp parallel for schedule(static)
    for (std::int64_t plane = 0; plane < rows_.planes(); ++plane) {
      const std::int64_t begin = rows_.begin(plane);
      const std::int64_t block = plane % rows_.blocks;
      differentiate({.x = x() + begin,
                     .dy = y_.grad->template values<T>().data() + begin,
                     .dx = dx + begin,
                     .size = rows_.plane_size,
                     .row = rows_.row(),
                     .mean = channels_.mean(block),
                     .scale = channels_.scale(block),
                     .shift = channels_.shift(block),
                     .slope = channels_.slope(block),
                     .constant = channels_.constant(block),
                     .relu = relu_});
    }
  }

  bool relu_;
  Bound x_, y_;
  ChannelRows rows_;
  BatchNormChannels channels_;
  Relaid input_;
  std::optional<Relaid> input_gradient_;
};

}  // namespace

OperationPtr CpuBackend::make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                                         const BatchNormTensors& tensors) {
  Bound bound("BatchNorm2d: input", x);
  output_shape(layer, bound.shape());  // refuses what does not fit
  return by_type(*bound.value, [&]<typename T>() -> OperationPtr {
    return std::make_unique<BatchNormOperation<T>>(device_, layer, fuse_relu, std::move(bound), tensors,
                                                   statistics_group());
  });
}

}  // namespace convoy::cpu
