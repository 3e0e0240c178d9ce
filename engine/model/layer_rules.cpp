#include "engine/model/layer_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "convoy/error.h"
#include "engine/model/text.h"
#include "engine/model/window.h"

namespace convoy {
namespace {

std::string str(const Extent& extent) { return fmt::format("[{}, {}]", extent[0], extent[1]); }

void require_range(const LayerSite& site, std::string_view key, std::int64_t value, std::int64_t minimum) {
  if (value < minimum || value > kMaxElements) {
    site.fail(fmt::format("{} is {}, but must be from {} to {}", key, value, minimum, kMaxElements));
  }
}

void require_range(const LayerSite& site, std::string_view key, const Extent& value, std::int64_t minimum) {
  if (std::ranges::any_of(value, [&](std::int64_t v) { return v < minimum || v > kMaxElements; })) {
    site.fail(
        fmt::format("{} is {}, but both must be from {} to {}", key, str(value), minimum, kMaxElements));
  }
}

void require_image(const LayerSite& site) {
  if (site.input.rank() != 4) {
    site.fail(fmt::format("needs an input [N, C, H, W], but gets {}; move it in front of the Flatten",
                          site.input.str()));
  }
  if (std::ranges::any_of(site.input.dimensions(), [](std::int64_t size) { return size < 1; })) {
    site.fail(fmt::format("needs an input [N, C, H, W] of positive sizes, but gets {}", site.input.str()));
  }
}

void require_tensor_fits(const LayerSite& site, std::string_view what, const Shape& shape) {
  if (!fits_in_a_tensor(shape)) {
    site.fail(fmt::format("{} {} has more than {} elements; make the layer or the batch smaller", what,
                          shape.str(), kMaxElements));
  }
}

/// [N, channels, H', W'] of a window whose settings are in range: at most 2^31, so that nothing overflows.
Shape slide(const LayerSite& site, const Window& window, std::int64_t channels) {
  const Shape output{site.input[0], channels, window.outputs(0, site.input[2]),
                     window.outputs(1, site.input[3])};
  if (output[2] == 0 || output[3] == 0) {
    site.fail(
        fmt::format("its kernel reaches over {}, more than the input {} with padding {}; use a smaller "
                    "kernel, more padding, or fewer strides and pools in front",
                    str({window.reach(0), window.reach(1)}), site.input.str(), str(window.padding)));
  }
  require_tensor_fits(site, "the output", output);
  return output;
}

template <typename Pool>
Shape pool_output(const LayerSite& site, const Pool& layer) {
  require_image(site);
  require_range(site, "kernel_size", layer.kernel_size, 1);
  require_range(site, "stride", layer.stride, 0);
  require_range(site, "padding", layer.padding, 0);
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (layer.padding[axis] > layer.kernel_size[axis] / 2) {  // else a window could lie in the padding alone
      site.fail(fmt::format("padding {} is more than half of kernel_size {}; use less padding",
                            str(layer.padding), str(layer.kernel_size)));
    }
  }
  return slide(site, window_of(layer), site.input[1]);
}

void require_divides(const LayerSite& site, std::string_view divisor, std::int64_t groups,
                     std::string_view dividend, std::int64_t channels) {
  if (channels % groups != 0) {
    site.fail(fmt::format("{} {} does not divide {} {}; change either", divisor, groups, dividend, channels));
  }
}

void require_epsilon(const LayerSite& site, double eps) {
  if (!(eps >= 0.0 && std::isfinite(eps))) {
    site.fail(fmt::format("eps is {}, but must be finite and at least 0", eps));
  }
}

}  // namespace

void LayerSite::fail(const std::string& problem) const {
  const std::string who = name.empty() ? type : fmt::format("layer {} ({})", in_quotes(name), type);
  throw UsageError(fmt::format("{}: {}", who, problem));
}

bool fits_in_a_tensor(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape.dimensions()) {
    if (dimension > kMaxElements / count) return false;
    count *= dimension;
  }
  return true;
}

Shape weight_shape(const Conv2d& layer) {
  return {layer.out_channels, layer.in_channels / layer.groups, layer.kernel_size[0], layer.kernel_size[1]};
}

bool has_disjoint_windows(const MaxPool2d& layer) {
  const Window window = window_of(layer);
  return layer.padding == Extent{0, 0} && window.kernel_size[0] <= window.stride[0] &&
         window.kernel_size[1] <= window.stride[1];
}

Shape weight_shape(const Linear& layer) { return {layer.out_features, layer.in_features}; }

template <>
Shape output_shape(const LayerSite& site, const Conv2d& layer) {
  require_image(site);
  require_range(site, "in_channels", layer.in_channels, 1);
  require_range(site, "out_channels", layer.out_channels, 1);
  require_range(site, "kernel_size", layer.kernel_size, 1);
  require_range(site, "stride", layer.stride, 1);
  require_range(site, "padding", layer.padding, 0);
  require_range(site, "dilation", layer.dilation, 1);
  require_range(site, "groups", layer.groups, 1);
  require_divides(site, "groups", layer.groups, "in_channels", layer.in_channels);
  require_divides(site, "groups", layer.groups, "out_channels", layer.out_channels);

  const Shape weight = weight_shape(layer);
  if (layer.in_channels != site.input[1]) {
    site.fail(fmt::format("weight {} (groups {}) does not fit the input {}; set in_channels to {}",
                          weight.str(), layer.groups, site.input.str(), site.input[1]));
  }
  require_tensor_fits(site, "weight", weight);
  return slide(site, window_of(layer), layer.out_channels);
}

template <>
Shape output_shape(const LayerSite& site, const BatchNorm2d& layer) {
  require_image(site);
  require_range(site, "num_features", layer.num_features, 1);
  if (layer.num_features != site.input[1]) {
    site.fail(fmt::format("weight {} does not fit the input {}; set num_features to {}",
                          Shape{layer.num_features}.str(), site.input.str(), site.input[1]));
  }
  require_epsilon(site, layer.eps);
  if (!(layer.momentum >= 0.0 && layer.momentum <= 1.0)) {  // a NaN fails
    site.fail(fmt::format("momentum is {}, but must be from 0 to 1", layer.momentum));
  }
  return site.input;
}

template <>
Shape output_shape(const LayerSite& site, const GroupNorm& layer) {
  require_image(site);
  require_range(site, "num_groups", layer.num_groups, 1);
  require_range(site, "num_channels", layer.num_channels, 1);
  require_divides(site, "num_groups", layer.num_groups, "num_channels", layer.num_channels);
  if (layer.num_channels != site.input[1]) {
    site.fail(fmt::format("num_channels {} does not fit the input {}; set num_channels to {}",
                          layer.num_channels, site.input.str(), site.input[1]));
  }
  require_epsilon(site, layer.eps);
  return site.input;
}

template <>
Shape output_shape(const LayerSite& site, const ReLU&) {
  return site.input;
}

template <>
Shape output_shape(const LayerSite& site, const MaxPool2d& layer) {
  return pool_output(site, layer);
}

template <>
Shape output_shape(const LayerSite& site, const AvgPool2d& layer) {
  return pool_output(site, layer);
}

template <>
Shape output_shape(const LayerSite& site, const GlobalAvgPool2d&) {
  require_image(site);
  return {site.input[0], site.input[1], 1, 1};
}

template <>
Shape output_shape(const LayerSite& site, const Flatten&) {
  const std::size_t rank = site.input.rank();
  if ((rank != 2 && rank != 4) || site.input.count() < 1) {
    site.fail(fmt::format("needs an input [N, C, H, W] or [N, F], but gets {}", site.input.str()));
  }
  return {site.input[0], site.input.count() / site.input[0]};
}

template <>
Shape output_shape(const LayerSite& site, const Linear& layer) {
  require_range(site, "in_features", layer.in_features, 1);
  require_range(site, "out_features", layer.out_features, 1);
  const Shape weight = weight_shape(layer);
  if (site.input.rank() != 2 || site.input.count() < 1) {
    site.fail(fmt::format("weight {} needs an input [N, {}], but gets {}; put a Flatten in front",
                          weight.str(), layer.in_features, site.input.str()));
  }
  if (layer.in_features != site.input[1]) {
    site.fail(fmt::format("weight {} does not fit the input {}; set in_features to {}", weight.str(),
                          site.input.str(), site.input[1]));
  }
  require_tensor_fits(site, "weight", weight);
  Shape output{site.input[0], layer.out_features};
  require_tensor_fits(site, "the output", output);
  return output;
}

template <>
Shape output_shape(const LayerSite& site, const Dropout& layer) {
  if (!(layer.p >= 0.0 && layer.p <= 1.0)) {  // a NaN fails
    site.fail(fmt::format("p is {}, but must be from 0 to 1", layer.p));
  }
  return site.input;
}

namespace {

std::vector<TensorSpec> weight_and_bias(const Shape& weight, bool bias) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in(weight)));
  std::vector<TensorSpec> specs = {
      {.name = "weight", .shape = weight, .role = TensorRole::weight, .init_bound = bound}};
  if (bias) {
    specs.push_back({.name = "bias", .shape = {weight[0]}, .role = TensorRole::bias, .init_bound = bound});
  }
  return specs;
}

std::vector<TensorSpec> tensors(const Conv2d& layer) {
  return weight_and_bias(weight_shape(layer), layer.bias);
}

std::vector<TensorSpec> tensors(const Linear& layer) {
  return weight_and_bias(weight_shape(layer), layer.bias);
}

std::vector<TensorSpec> tensors(const BatchNorm2d& layer) {
  const Shape channels{layer.num_features};
  return {
      {.name = "weight", .shape = channels, .role = TensorRole::weight, .init_constant = 1.0},
      {.name = "bias", .shape = channels, .role = TensorRole::bias},
      {.name = "running_mean", .shape = channels, .role = TensorRole::running_mean},
      {.name = "running_var", .shape = channels, .role = TensorRole::running_var, .init_constant = 1.0},
      {.name = "num_batches_tracked",
       .shape = {},
       .role = TensorRole::num_batches_tracked,
       .dtype = DType::int64},
  };
}

std::vector<TensorSpec> tensors(const GroupNorm& layer) {
  if (!layer.affine) return {};
  const Shape channels{layer.num_channels};
  return {
      {.name = "weight", .shape = channels, .role = TensorRole::weight, .init_constant = 1.0},
      {.name = "bias", .shape = channels, .role = TensorRole::bias},
  };
}

// Of a layer that owns nothing. Written out, so that a new layer has to say so.
std::vector<TensorSpec> tensors(const ReLU&) { return {}; }
std::vector<TensorSpec> tensors(const MaxPool2d&) { return {}; }
std::vector<TensorSpec> tensors(const AvgPool2d&) { return {}; }
std::vector<TensorSpec> tensors(const GlobalAvgPool2d&) { return {}; }
std::vector<TensorSpec> tensors(const Flatten&) { return {}; }
std::vector<TensorSpec> tensors(const Dropout&) { return {}; }
std::vector<TensorSpec> tensors(const Residual&) { return {}; }

}  // namespace

std::vector<TensorSpec> layer_tensors(const Layer& layer) {
  return std::visit([](const auto& alternative) { return tensors(alternative); }, layer);
}

std::int64_t fan_in(const Shape& weight) { return weight.count() / weight[0]; }

}  // namespace convoy
