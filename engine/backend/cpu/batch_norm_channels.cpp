#include "engine/backend/cpu/batch_norm_channels.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/batch_norm_loops.h"

namespace convoy::cpu {
namespace {

std::shared_ptr<CpuTensor> per_channel(const std::string& what, const TensorPtr& tensor,
                                       std::int64_t channels) {
  auto ours = as_floats("BatchNorm2d: " + what, tensor);
  require_shape("BatchNorm2d: " + what, ours->shape(), {channels});
  return ours;
}

}  // namespace

BatchNormChannels::BatchNormChannels(const BatchNorm2d& layer, const BatchNormTensors& tensors,
                                     const Shape& x, const ChannelRows& rows, Communicator* group)
    : layer_(layer),
      weight_("BatchNorm2d: weight", tensors.weight),
      bias_("BatchNorm2d: bias", tensors.bias),
      running_mean_(per_channel("running_mean", tensors.running_mean, layer.num_features)),
      running_var_(per_channel("running_var", tensors.running_var, layer.num_features)),
      x_shape_(x),
      rows_(rows),
      sums_(rows),
      group_(group),
      count_(static_cast<double>(x.count() / rows.channels)),
      total_count_(count_),
      batch_mean_(static_cast<std::size_t>(rows.channels)),
      batch_squares_(static_cast<std::size_t>(rows.channels)) {
  require_shape("BatchNorm2d: weight", weight_.shape(), {layer.num_features});
  require_shape("BatchNorm2d: bias", bias_.shape(), {layer.num_features});
  const auto channels = static_cast<std::size_t>(rows_.padded_channels());
  for (auto* vector : {&mean_, &inverse_std_, &scale_, &shift_, &slope_, &constant_}) {
    vector->assign(channels, 0.0f);
  }
}

template <typename T>
void BatchNormChannels::prepare(Phase phase, const T* x) {
  if (phase == Phase::training) {
    check_batch_statistics(x_shape_);
    measure(x);
    return;
  }
  for (std::size_t c = 0; c < static_cast<std::size_t>(rows_.channels); ++c) {
    set(c, running_mean_->floats()[c], running_var_->floats()[c]);
  }
}

void BatchNormChannels::set(std::size_t c, double mean, double variance) {
  const double inverse_std = 1.0 / std::sqrt(variance + layer_.eps);
  mean_[c] = static_cast<float>(mean);
  inverse_std_[c] = static_cast<float>(inverse_std);
  scale_[c] = static_cast<float>(weight_.value->floats()[c] * inverse_std);
  shift_[c] = bias_.value->floats()[c];
}

/// The mean of each channel over the first image.
template <typename T>
std::vector<float> BatchNormChannels::first_means(const T* x) const {
  std::vector<float> means(static_cast<std::size_t>(rows_.padded_channels()));
  const Row zero{};
  for (std::int64_t block = 0; block < rows_.blocks; ++block) {
    DoubleRow sum{};
    DoubleRow squares{};
    add_deviations({.x = x + rows_.begin(block),
                    .size = rows_.plane_size,
                    .row = rows_.row(),
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
// subtracting the square of the one from the other cancels little. Backward, as the convolution in front
// wrote the last images last, and on to the pass behind, which begins with the first ones.
template <typename T>
void BatchNormChannels::measure(const T* x) {
  const std::vector<float> pivot = first_means(x);
  sums_.run(Walk::backward, [&](std::int64_t plane, std::int64_t block, DoubleRow& sum, DoubleRow& squares) {
    add_deviations({.x = x + rows_.begin(plane),
                    .size = rows_.plane_size,
                    .row = rows_.row(),
                    .pivot = rows_.spread(pivot, block),
                    .sum = sum,
                    .squares = squares});
  });
  for (std::int64_t c = 0; c < rows_.channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double offset = sums_.first(c) / count_;
    batch_mean_[i] = pivot[i] + offset;
    batch_squares_[i] = std::max(sums_.second(c) / count_ - offset * offset, 0.0) * count_;
  }
  if (group_) share_moments();
  for (std::size_t i = 0; i < batch_mean_.size(); ++i) {
    set(i, batch_mean_[i], batch_squares_[i] / total_count_);
    update(running_mean_->floats()[i], batch_mean_[i]);
    update(running_var_->floats()[i], batch_squares_[i] / (total_count_ - 1.0));
  }
}

// The mean of all processes first; deviations from it then add up without cancelling.
void BatchNormChannels::share_moments() {
  const std::size_t channels = batch_mean_.size();
  std::vector<double> sums(channels + 1, count_);
  for (std::size_t i = 0; i < channels; ++i) sums[i] = count_ * batch_mean_[i];
  group_->sum(sums);
  total_count_ = sums[channels];
  for (std::size_t i = 0; i < channels; ++i) {
    const double mean = sums[i] / total_count_, offset = batch_mean_[i] - mean;
    batch_squares_[i] += count_ * offset * offset;
    batch_mean_[i] = mean;
  }
  group_->sum(batch_squares_);
}

void BatchNormChannels::update(float& running, double batch) const {
  running = static_cast<float>((1.0 - layer_.momentum) * running + layer_.momentum * batch);
}

// The gradients of bias and weight: sums of g and of g (x - mean) / std. Behind them
// dx = scale (g - mean(g) - (x - mean) / std * mean(g (x - mean) / std)).
// Of the first two each process has its part; dx takes the means over all.
void BatchNormChannels::finish_gradients() {
  const auto channels = static_cast<std::size_t>(rows_.channels);
  std::vector<double> sums;
  for (std::int64_t c = 0; c < rows_.channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    if (bias_.grad) bias_.grad->floats()[i] = static_cast<float>(sums_.first(c));
    if (weight_.grad) weight_.grad->floats()[i] = static_cast<float>(sums_.second(c) * inverse_std_[i]);
    sums.push_back(sums_.first(c));
  }
  for (std::int64_t c = 0; c < rows_.channels; ++c) sums.push_back(sums_.second(c));
  if (group_) group_->sum(sums);
  for (std::size_t i = 0; i < channels; ++i) {
    constant_[i] = static_cast<float>(-scale_[i] * sums[i] / total_count_);
    slope_[i] = static_cast<float>(-scale_[i] * sums[channels + i] / total_count_ * inverse_std_[i] *
                                   inverse_std_[i]);
  }
}

template void BatchNormChannels::prepare(Phase, const float*);
template void BatchNormChannels::prepare(Phase, const Bfloat16*);

}  // namespace convoy::cpu
