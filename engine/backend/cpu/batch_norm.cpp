// Batch norm, with the ReLU behind it in the same pass over memory. Own loops: oneDNN's sum a channel's tens
// of thousands of values in one float and lose three digits of its variance, which gradients then lose, too;
// and its fused ReLU turns a NaN into a zero.
#include <cmath>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/channel_rows.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

std::shared_ptr<CpuTensor> per_channel(const std::string& what, const TensorPtr& tensor,
                                       std::int64_t channels) {
  auto ours = as_floats("BatchNorm2d: " + what, tensor);
  require_shape("BatchNorm2d: " + what, ours->shape(), {channels});
  return ours;
}

class BatchNormOperation final : public Operation {
 public:
  BatchNormOperation(Device& device, const BatchNorm2d& layer, bool fuse_relu, Bound x,
                     const BatchNormTensors& tensors)
      : layer_(layer),
        relu_(fuse_relu),
        x_(std::move(x)),
        weight_("BatchNorm2d: weight", tensors.weight),
        bias_("BatchNorm2d: bias", tensors.bias),
        running_mean_(per_channel("running_mean", tensors.running_mean, layer.num_features)),
        running_var_(per_channel("running_var", tensors.running_var, layer.num_features)),
        layout_(ChannelRows::of(x_.shape(), x_.value->layout()) ? x_.value->layout()
                                                                : plain_layout(x_.shape())),
        rows_(*ChannelRows::of(x_.shape(), layout_)),
        sums_(rows_),
        input_(Relaid::input(device, x_.value->memory(), layout_)) {
    require_shape("BatchNorm2d: weight", weight_.shape(), {layer.num_features});
    require_shape("BatchNorm2d: bias", bias_.shape(), {layer.num_features});
    const bool with_grad = x_.grad || weight_.grad || bias_.grad;
    if (with_grad) check_batch_statistics(x_.shape());
    output_ = make_variable(device, x_.shape(), layout_, with_grad);
    y_ = Bound("BatchNorm2d: output", output_);
    if (x_.grad) input_gradient_.emplace(Relaid::output(device, x_.grad->memory(), layout_));
    const auto channels = static_cast<std::size_t>(rows_.padded_channels());
    for (auto* vector : {&mean_, &inverse_std_, &scale_, &shift_}) vector->assign(channels, 0.0f);
  }

  void forward(Phase phase) override {
    if (phase == Phase::training) check_batch_statistics(x_.shape());
    input_.copy();
    if (phase == Phase::training) {
      measure();
    } else {
      for (std::int64_t c = 0; c < rows_.channels; ++c) {
        const auto i = static_cast<std::size_t>(c);
        set_channel(i, running_mean_->floats()[i], running_var_->floats()[i]);
      }
    }
    normalize_all();
  }

  void backward() override {
    if (!y_.grad) return;
    sum_gradients();
    if (input_gradient_) {
      differentiate_all();
      input_gradient_->copy();
    }
  }

 private:
  const float* x() const { return static_cast<const float*>(input_.memory().get_data_handle()); }

  void set_channel(std::size_t c, double mean, double variance) {
    const double inverse_std = 1.0 / std::sqrt(variance + layer_.eps);
    mean_[c] = static_cast<float>(mean);
    inverse_std_[c] = static_cast<float>(inverse_std);
    scale_[c] = static_cast<float>(weight_.value->floats()[c] * inverse_std);
    shift_[c] = bias_.value->floats()[c];
  }

  /// The mean of each channel over the first image.
  std::vector<float> first_means() const {
    std::vector<float> means(static_cast<std::size_t>(rows_.padded_channels()));
    const Row zero{};
    for (std::int64_t block = 0; block < rows_.blocks; ++block) {
      DoubleRow sum{};
      DoubleRow squares{};
      add_deviations({.x = x() + block * rows_.plane_size,
                      .size = rows_.plane_size,
                      .pivot = zero,
                      .sum = sum,
                      .squares = squares});
      for (std::size_t j = 0; j < sum.size(); ++j) {
        const auto lane = static_cast<std::int64_t>(j) % rows_.lanes;
        means[static_cast<std::size_t>(block * rows_.lanes + lane)] += static_cast<float>(
            sum[j] * static_cast<double>(rows_.lanes) / static_cast<double>(rows_.plane_size));
      }
    }
    return means;
  }

  // Sums of x - k and of its square, k being the mean of the first image: close enough to the batch's that
  // subtracting the square of the one from the other cancels little.
  void measure() {
    const std::vector<float> pivot = first_means();
    sums_.run([&](std::int64_t plane, std::int64_t block, DoubleRow& sum, DoubleRow& squares) {
      add_deviations({.x = x() + plane * rows_.plane_size,
                      .size = rows_.plane_size,
                      .pivot = rows_.spread(pivot, block),
                      .sum = sum,
                      .squares = squares});
    });

    const double n = static_cast<double>(count());
    for (std::int64_t c = 0; c < rows_.channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      const double offset = sums_.first(c) / n;
      const double mean = pivot[i] + offset;
      const double variance = std::max(sums_.second(c) / n - offset * offset, 0.0);
      set_channel(i, mean, variance);
      update(running_mean_->floats()[i], mean);
      update(running_var_->floats()[i], variance * n / (n - 1.0));
    }
  }

  void update(float& running, double batch) const {
    running = static_cast<float>((1.0 - layer_.momentum) * running + layer_.momentum * batch);
  }

  void normalize_all() {
    float* y = y_.value->floats().data();
#pragma omp parallel for schedule(static)
    for (std::int64_t plane = 0; plane < rows_.planes(); ++plane) {
      const std::int64_t begin = plane * rows_.plane_size;
      const std::int64_t block = plane % rows_.blocks;
      normalize({.x = x() + begin,
                 .y = y + begin,
                 .size = rows_.plane_size,
                 .mean = rows_.spread(mean_, block),
                 .scale = rows_.spread(scale_, block),
                 .shift = rows_.spread(shift_, block),
                 .relu = relu_});
    }
  }

  // The gradients of bias and weight: sums of g and of g (x - mean) / std, g being dy behind the ReLU.
  void sum_gradients() {
    sums_.run([&](std::int64_t plane, std::int64_t block, DoubleRow& sum, DoubleRow& products) {
      const std::int64_t begin = plane * rows_.plane_size;
      add_gradients({.x = x() + begin,
                     .dy = y_.grad->floats().data() + begin,
                     .size = rows_.plane_size,
                     .mean = rows_.spread(mean_, block),
                     .scale = rows_.spread(scale_, block),
                     .shift = rows_.spread(shift_, block),
                     .relu = relu_,
                     .sum = sum,
                     .products = products});
    });
    for (std::int64_t c = 0; c < rows_.channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      if (bias_.grad) bias_.grad->floats()[i] = static_cast<float>(sums_.first(c));
      if (weight_.grad) weight_.grad->floats()[i] = static_cast<float>(sums_.second(c) * inverse_std_[i]);
    }
  }

  // dx = scale (g - mean(g) - (x - mean) / std * mean(g (x - mean) / std))
  void differentiate_all() {
    const auto channels = static_cast<std::size_t>(rows_.padded_channels());
    std::vector<float> constant(channels);
    std::vector<float> slope(channels);
    const double n = static_cast<double>(count());
    for (std::int64_t c = 0; c < rows_.channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      constant[i] = static_cast<float>(-scale_[i] * sums_.first(c) / n);
      slope[i] = static_cast<float>(-scale_[i] * sums_.second(c) / n * inverse_std_[i] * inverse_std_[i]);
    }
    auto* dx = static_cast<float*>(input_gradient_->memory().get_data_handle());
#pragma omp parallel for schedule(static)
    for (std::int64_t plane = 0; plane < rows_.planes(); ++plane) {
      const std::int64_t begin = plane * rows_.plane_size;
      const std::int64_t block = plane % rows_.blocks;
      differentiate({.x = x() + begin,
                     .dy = y_.grad->floats().data() + begin,
                     .dx = dx + begin,
                     .size = rows_.plane_size,
                     .mean = rows_.spread(mean_, block),
                     .scale = rows_.spread(scale_, block),
                     .shift = rows_.spread(shift_, block),
                     .slope = rows_.spread(slope, block),
                     .constant = rows_.spread(constant, block),
                     .relu = relu_});
    }
  }

  /// Values that a channel's statistics are over.
  std::int64_t count() const { return x_.shape().count() / rows_.channels; }

  BatchNorm2d layer_;
  bool relu_;
  Bound x_, weight_, bias_, y_;
  std::shared_ptr<CpuTensor> running_mean_, running_var_;
  Layout layout_;
  ChannelRows rows_;
  ChannelSums sums_;
  Relaid input_;
  std::optional<Relaid> input_gradient_;
  std::vector<float> mean_, inverse_std_, scale_, shift_;  // of the last forward, by padded channel
};

}  // namespace

OperationPtr CpuBackend::make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                                         const BatchNormTensors& tensors) {
  Bound bound("BatchNorm2d: input", x);
  output_shape(layer, bound.shape());  // refuses what does not fit
  return std::make_unique<BatchNormOperation>(device_, layer, fuse_relu, std::move(bound), tensors);
}

}  // namespace convoy::cpu
