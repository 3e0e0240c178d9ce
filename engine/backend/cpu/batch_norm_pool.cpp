// Batch norm with the ReLU and the max pool behind it. Forward reads x twice and keeps of each window what
// backward sums; backward reads x once, and nothing of its size is between them.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/batch_norm_channels.h"
#include "engine/backend/cpu/batch_norm_pool_loops.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/sequence.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

class BatchNormPoolOperation final : public Operation {
 public:
  BatchNormPoolOperation(Device& device, const BatchNorm2d& layer, const MaxPool2d& pool, Bound x,
                         const BatchNormTensors& tensors)
      : window_(window_of(pool)),
        x_(std::move(x)),
        y_shape_(output_shape(pool, x_.shape())),
        layout_(ChannelRows::layout_of(*x_.value)),
        rows_(*ChannelRows::of(x_.shape(), layout_)),
        channels_(layer, tensors, x_.shape(), rows_),
        input_(Relaid::input(device, x_.value->memory(), layout_)) {
    const bool with_grad = x_.grad || channels_.with_grad();
    if (with_grad) check_batch_statistics(x_.shape());
    output_ = make_variable(device, y_shape_, rows_.layout_for(y_shape_), with_grad);
    y_ = Bound("MaxPool2d: output", output_);
    if (with_grad) {
      deviations_.resize(y_.value->floats().size());
      taps_.resize(deviations_.size());
    }
    if (x_.grad) input_gradient_.emplace(Relaid::output(device, x_.grad->memory(), layout_));
  }

  void forward(Phase phase) override {
    input_.copy();
    channels_.prepare(phase, x());
    const bool keep = phase == Phase::training && y_.grad;
    float* y = y_.value->floats().data();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows_.planes(); ++i) {
      const std::int64_t block = i % rows_.blocks;
      normalize_and_pool({.plane = plane(),
                          .x = x() + i * rows_.plane_size,
                          .y = y + i * output_size(),
                          .deviation = keep ? deviations_.data() + i * output_size() : nullptr,
                          .tap = keep ? taps_.data() + i * output_size() : nullptr,
                          .mean = channels_.mean(block),
                          .scale = channels_.scale(block),
                          .shift = channels_.shift(block)});
    }
  }

  void backward() override {
    if (!y_.grad) return;
    const float* dy = y_.grad->floats().data();
    channels_.sum_gradients([&](std::int64_t i, std::int64_t, DoubleRow& sum, DoubleRow& products) {
      add_pooled_gradients({.deviation = deviations_.data() + i * output_size(),
                            .tap = taps_.data() + i * output_size(),
                            .dy = dy + i * output_size(),
                            .size = output_size(),
                            .sum = sum,
                            .products = products});
    });
    if (!input_gradient_) return;
    auto* dx = static_cast<float*>(input_gradient_->memory().get_data_handle());
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows_.planes(); ++i) {
      const std::int64_t block = i % rows_.blocks;
      differentiate_pooled({.plane = plane(),
                            .x = x() + i * rows_.plane_size,
                            .dy = dy + i * output_size(),
                            .tap = taps_.data() + i * output_size(),
                            .dx = dx + i * rows_.plane_size,
                            .mean = channels_.mean(block),
                            .scale = channels_.scale(block),
                            .slope = channels_.slope(block),
                            .constant = channels_.constant(block)});
    }
    input_gradient_->copy();
  }

 private:
  const float* x() const { return static_cast<const float*>(input_.memory().get_data_handle()); }
  PoolPlane plane() const {
    return {.window = window_,
            .lanes = rows_.lanes,
            .height = x_.shape()[2],
            .width = x_.shape()[3],
            .output_height = y_shape_[2],
            .output_width = y_shape_[3]};
  }
  std::int64_t output_size() const { return y_shape_[2] * y_shape_[3] * rows_.lanes; }  // floats of a plane

  Window window_;
  Bound x_, y_;
  Shape y_shape_;
  Layout layout_;
  ChannelRows rows_;
  BatchNormChannels channels_;
  Relaid input_;
  std::optional<Relaid> input_gradient_;
  std::vector<float> deviations_;   // for each output, x - mean at the maximum
  std::vector<std::uint8_t> taps_;  // and which tap of its window that was
};

}  // namespace

OperationPtr CpuBackend::make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool,
                                              const Variable& x, const BatchNormTensors& tensors) {
  check_fused_pool(pool);
  if (pool.kernel_size[0] * pool.kernel_size[1] > kNoTap) {  // more taps than a byte counts
    OperationPtr norm = make_batch_norm(layer, /*fuse_relu=*/true, x, tensors);
    OperationPtr max_pool = make_max_pool(pool, norm->output());
    return std::make_unique<Sequence>(std::move(norm), std::move(max_pool));
  }
  Bound bound("BatchNorm2d: input", x);
  output_shape(layer, bound.shape());  // refuses what does not fit
  return std::make_unique<BatchNormPoolOperation>(device_, layer, pool, std::move(bound), tensors);
}

}  // namespace convoy::cpu
