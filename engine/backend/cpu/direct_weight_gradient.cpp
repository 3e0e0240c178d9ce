#include "engine/backend/cpu/direct_weight_gradient.h"

#include <omp.h>

#include <algorithm>

#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/weight_gradient_loops.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kMaxChannels = 4;
constexpr std::int64_t kGroup = 8;  // of channels in the sums

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace

bool DirectWeightGradient::suits(const WeightedLayer& layer, const CpuTensor& dy) {
  const bool convolution = !layer.window.stride.empty();
  if (!convolution || layer.weight_dims.size() != 4 || layer.weight_dims[1] > kMaxChannels) return false;
  const auto rows = ChannelRows::of(layer.output, dy.layout());
  return rows && rows->lanes == 8 && rows->type == DataType::f32;  // as oneDNN has it without AVX-512
}

DirectWeightGradient::DirectWeightGradient(Device& device, const WeightedLayer& layer,
                                           std::shared_ptr<CpuTensor> dy)
    : dy_(std::move(dy)),
      weight_grad_(layer.weight.grad),
      bias_grad_(layer.bias.grad),
      rows_(*ChannelRows::of(layer.output, dy_->layout())),
      input_(Relaid::input(device, layer.x.value->memory(), plain_layout(layer.x.shape()))),
      x_dims_(dims_of(layer.x.shape())),
      weight_dims_(layer.weight_dims),
      output_dims_(dims_of(layer.output)),
      window_(layer.window),
      height_(x_dims_[2] + 2 * window_.padding[0]),
      width_(x_dims_[3] + 2 * window_.padding[1]),
      parts_(std::min<std::int64_t>(omp_get_max_threads(), rows_.images)),
      padded_(size(parts_), std::vector<float>(size(x_dims_[1] * height_ * width_))),
      weight_sums_(size(parts_), std::vector<double>(size(rows_.padded_channels() * weight_dims_[1] *
                                                          weight_dims_[2] * weight_dims_[3]))),
      bias_sums_(size(parts_), std::vector<double>(size(rows_.padded_channels()))) {}

void DirectWeightGradient::run() {
  input_.copy();
#pragma omp parallel for schedule(static)
  for (std::int64_t part = 0; part < parts_; ++part) {
    std::ranges::fill(weight_sums_[size(part)], 0.0);
    std::ranges::fill(bias_sums_[size(part)], 0.0);
    const std::int64_t end = (part + 1) * rows_.images / parts_;
    for (std::int64_t image = part * rows_.images / parts_; image < end; ++image) add_image(image, part);
  }
  reduce();
}

/// Into the middle of what stays zero around it.
void DirectWeightGradient::pad_image(std::int64_t image, float* padded) const {
  const std::int64_t height = x_dims_[2], width = x_dims_[3];
  const auto* x = static_cast<const float*>(input_.memory().get_data_handle());
  x += image * x_dims_[1] * height * width;
  for (std::int64_t c = 0; c < x_dims_[1]; ++c) {
    for (std::int64_t i = 0; i < height; ++i) {
      const std::int64_t row = (c * height_ + window_.padding[0] + i) * width_ + window_.padding[1];
      std::copy_n(x + (c * height + i) * width, width, padded + row);
    }
  }
}

void DirectWeightGradient::add_image(std::int64_t image, std::int64_t part) {
  const float* const dy = dy_->floats().data() + image * rows_.blocks * rows_.plane_size;
  if (bias_grad_) {
    const Row zero{};
    for (std::int64_t block = 0; block < rows_.blocks; ++block) {
      DoubleRow sum{}, squares{};
      add_deviations({.x = dy + block * rows_.plane_size,
                      .size = rows_.plane_size,
                      .pivot = zero,
                      .sum = sum,
                      .squares = squares});
      for (std::int64_t j = 0; j < kRow; ++j) {
        bias_sums_[size(part)][size(block * rows_.lanes + j % rows_.lanes)] += sum[size(j)];
      }
    }
  }
  if (!weight_grad_) return;
  pad_image(image, padded_[size(part)].data());
  add_weight_gradients({.x = padded_[size(part)].data(),
                        .dy = dy,
                        .sums = weight_sums_[size(part)].data(),
                        .channels = x_dims_[1],
                        .height = height_,
                        .width = width_,
                        .blocks = rows_.blocks,
                        .lanes = rows_.lanes,
                        .output_height = output_dims_[2],
                        .output_width = output_dims_[3],
                        .kernel_height = weight_dims_[2],
                        .kernel_width = weight_dims_[3],
                        .stride = {window_.stride[0], window_.stride[1]},
                        .dilation = {window_.dilation[0] + 1, window_.dilation[1] + 1}});
}

/// Adds the parts in their order.
void DirectWeightGradient::reduce() {
  const auto total = [](const std::vector<std::vector<double>>& sums, std::size_t i) {
    double all = 0.0;
    for (const std::vector<double>& part : sums) all += part[i];
    return static_cast<float>(all);
  };
  const std::int64_t kernel = weight_dims_[1] * weight_dims_[2] * weight_dims_[3];
  for (std::int64_t o = 0; o < rows_.channels; ++o) {
    if (bias_grad_) bias_grad_->floats()[size(o)] = total(bias_sums_, size(o));
    if (!weight_grad_) continue;
    for (std::int64_t k = 0; k < kernel; ++k) {
      weight_grad_->floats()[size(o * kernel + k)] =
          total(weight_sums_, size((o / kGroup * kernel + k) * kGroup + o % kGroup));
    }
  }
}

}  // namespace convoy::cpu
