// Batch norm with the ReLU and the max pool behind it. Forward reads x twice and keeps of each window what
// backward sums; backward reads x once, and nothing of its size is between them.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/batch_norm_channels.h"
#include "engine/backend/cpu/batch_norm_pool_loops.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/pool_plane.h"
#include "engine/backend/sequence.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

template <typename T>
class BatchNormPoolOperation final : public Operation {
 public:
  BatchNormPoolOperation(Device& device, const BatchNorm2d& layer, const MaxPool2d& pool, Bound x,
                         const BatchNormTensors& tensors, Communicator* group)
      : window_(window_of(pool)),
        x_(std::move(x)),
        y_shape_(output_shape(pool, x_.shape())),
        rows_(ChannelRows::of(*x_.value)),
        output_rows_(rows_.for_shape(y_shape_)),
        channels_(layer, tensors, x_.shape(), rows_, group),
        input_(Relaid::input(device, x_.value->memory(), rows_.layout())) {
    const bool with_grad = x_.grad || channels_.with_grad();
    if (with_grad) check_batch_statistics(x_.shape());
    output_ = make_variable(device, y_shape_, output_rows_.layout(), with_grad);
    y_ = Bound("MaxPool2d: output", output_);
    if (with_grad) {
      winners_.resize(y_.value->template values<T>().size());
      taps_.resize(winners_.size());
    }
    if (x_.grad) input_gradient_.emplace(Relaid::output(device, x_.grad->memory(), rows_.layout()));
  }

  void forward(Phase phase) override {
    input_.copy();
    channels_.prepare(phase, x());
    const bool keep = phase == Phase::training && y_.grad;
    T* y = y_.value->template values<T>().data();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows_.planes(); ++i) {
      const std::int64_t block = i % rows_.blocks;
      normalize_and_pool({.plane = plane(),
                          .x = x() + rows_.begin(i),
                          .y = y + output_rows_.begin(i),
                          .winner = keep ? winners_.data() + output_rows_.begin(i) : nullptr,
                          .tap = keep ? taps_.data() + output_rows_.begin(i) : nullptr,
                          .mean = channels_.mean(block),
                          .scale = channels_.scale(block),
                          .shift = channels_.shift(block)});
    }
  }

  void backward() override {
    if (!y_.grad) return;
    const T* dy = y_.grad->template values<T>().data();
    channels_.sum_gradients([&](std::int64_t i, std::int64_t block, DoubleRow& sum, DoubleRow& products) {
      add_pooled_gradients({.winner = winners_.data() + output_rows_.begin(i),
                            .tap = taps_.data() + output_rows_.begin(i),
                            .dy = dy + output_rows_.begin(i),
                            .size = output_rows_.plane_size,
                            .row = output_rows_.row(),
                            .mean = channels_.mean(block),
                            .sum = sum,
                            .products = products});
    });
    if (!input_gradient_) return;
    auto* dx = static_cast<T*>(input_gradient_->memory().get_data_handle());
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows_.planes(); ++i) {
      const std::int64_t block = i % rows_.blocks;
      differentiate_pooled({.plane = plane(),
                            .x = x() + rows_.begin(i),
                            .dy = dy + output_rows_.begin(i),
                            .tap = taps_.data() + output_rows_.begin(i),
                            .dx = dx + rows_.begin(i),
                            .mean = channels_.mean(block),
                            .scale = channels_.scale(block),
                            .slope = channels_.slope(block),
                            .constant = channels_.constant(block)});
    }
    input_gradient_->copy();
  }

 private:
  const T* x() const { return static_cast<const T*>(input_.memory().get_data_handle()); }
  PoolPlane plane() const { return pool_plane(window_, rows_, x_.shape(), y_shape_); }

  Window window_;
  Bound x_, y_;
  Shape y_shape_;
  ChannelRows rows_, output_rows_;
  BatchNormChannels channels_;
  Relaid input_;
  std::optional<Relaid> input_gradient_;
  std::vector<T> winners_;          // for each output, x at the maximum
  std::vector<std::uint8_t> taps_;  // and which tap of its window that was
};

}  // namespace

OperationPtr CpuBackend::make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool,
                                              const Variable& x, const BatchNormTensors& tensors) {
  check_fused_pool(pool);
  if (pool.kernel_size[0] * pool.kernel_size[1] > kNothingPasses) {  // more taps than a byte counts
    return batch_norm_then_pool(*this, layer, pool, x, tensors);
  }
  Bound bound("BatchNorm2d: input", x);
  output_shape(layer, bound.shape());  // refuses what does not fit
  return by_type(*bound.value, [&]<typename T>() -> OperationPtr {
    return std::make_unique<BatchNormPoolOperation<T>>(device_, layer, pool, std::move(bound), tensors,
                                                       statistics_group());
  });
}

}  // namespace convoy::cpu
