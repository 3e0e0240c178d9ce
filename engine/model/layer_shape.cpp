#include "engine/model/layer_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"
#include "engine/model/text.h"

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
}

void require_tensor_fits(const LayerSite& site, std::string_view what, const Shape& shape) {
  if (!fits_in_a_tensor(shape)) {
    site.fail(fmt::format("{} {} has more than {} elements; make the layer or the batch smaller", what,
                          shape.str(), kMaxElements));
  }
}

/// A window that slides over a plane: of a convolution or a pool.
struct Window {
  Extent kernel_size;
  Extent stride;
  Extent padding;
  Extent dilation = {1, 1};

  // Settings are at most 2^31, so none of this overflows.
  std::int64_t reach(std::size_t axis) const { return dilation[axis] * (kernel_size[axis] - 1) + 1; }
};

/// [N, channels, H', W'], H' = (H + 2 padding - reach) / stride + 1.
Shape slide(const LayerSite& site, const Window& window, std::int64_t channels) {
  Extent plane{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t room = site.input[2 + axis] + 2 * window.padding[axis] - window.reach(axis);
    if (room < 0) {
      site.fail(
          fmt::format("its kernel reaches over {}, more than the input {} with padding {}; use a smaller "
                      "kernel, more padding, or fewer strides and pools in front",
                      str({window.reach(0), window.reach(1)}), site.input.str(), str(window.padding)));
    }
    plane[axis] = room / window.stride[axis] + 1;
  }
  Shape output{site.input[0], channels, plane[0], plane[1]};
  require_tensor_fits(site, "the output", output);
  return output;
}

template <typename Pool>
Shape pool_output(const LayerSite& site, const Pool& layer) {
  require_image(site);
  require_range(site, "kernel_size", layer.kernel_size, 1);
  require_range(site, "stride", layer.stride, 0);
  require_range(site, "padding", layer.padding, 0);
  Window window{layer.kernel_size, layer.stride, layer.padding};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (layer.padding[axis] > layer.kernel_size[axis] / 2) {  // else a window could lie in the padding alone
      site.fail(fmt::format("padding {} is more than half of kernel_size {}; use less padding",
                            str(layer.padding), str(layer.kernel_size)));
    }
    if (window.stride[axis] == 0) window.stride[axis] = layer.kernel_size[axis];
  }
  return slide(site, window, site.input[1]);
}

void require_groups_divide(const LayerSite& site, std::string_view key, std::int64_t channels,
                           std::int64_t groups) {
  if (channels % groups != 0) {
    site.fail(fmt::format("groups {} does not divide {} {}; change either", groups, key, channels));
  }
}

}  // namespace

void LayerSite::fail(const std::string& problem) const {
  throw UsageError(fmt::format("layer {} ({}): {}", in_quotes(name), type, problem));
}

bool fits_in_a_tensor(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape.dimensions()) {
    if (dimension > kMaxElements / count) return false;
    count *= dimension;
  }
  return true;
}

Shape output_shape(const LayerSite& site, const Conv2d& layer) {
  require_image(site);
  require_range(site, "in_channels", layer.in_channels, 1);
  require_range(site, "out_channels", layer.out_channels, 1);
  require_range(site, "kernel_size", layer.kernel_size, 1);
  require_range(site, "stride", layer.stride, 1);
  require_range(site, "padding", layer.padding, 0);
  require_range(site, "dilation", layer.dilation, 1);
  require_range(site, "groups", layer.groups, 1);
  require_groups_divide(site, "in_channels", layer.in_channels, layer.groups);
  require_groups_divide(site, "out_channels", layer.out_channels, layer.groups);

  const Shape weight{layer.out_channels, layer.in_channels / layer.groups, layer.kernel_size[0],
                     layer.kernel_size[1]};
  if (layer.in_channels != site.input[1]) {
    site.fail(fmt::format("weight {} (groups {}) does not fit the input {}; set in_channels to {}",
                          weight.str(), layer.groups, site.input.str(), site.input[1]));
  }
  require_tensor_fits(site, "weight", weight);
  const Window window{layer.kernel_size, layer.stride, layer.padding, layer.dilation};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (layer.padding[axis] >= window.reach(axis)) {  // else outputs would see nothing but padding
      site.fail(fmt::format("padding {} is not smaller than the kernel's reach {}; use less padding",
                            str(layer.padding), str({window.reach(0), window.reach(1)})));
    }
  }
  return slide(site, window, layer.out_channels);
}

Shape output_shape(const LayerSite& site, const BatchNorm2d& layer) {
  require_image(site);
  require_range(site, "num_features", layer.num_features, 1);
  if (layer.num_features != site.input[1]) {
    site.fail(fmt::format("weight {} does not fit the input {}; set num_features to {}",
                          Shape{layer.num_features}.str(), site.input.str(), site.input[1]));
  }
  // Written so that a NaN fails.
  if (!(layer.eps > 0.0 && layer.eps <= 1.0)) {
    site.fail(fmt::format("eps is {}, but must be above 0 and at most 1", layer.eps));
  }
  if (!(layer.momentum >= 0.0 && layer.momentum <= 1.0)) {
    site.fail(fmt::format("momentum is {}, but must be from 0 to 1", layer.momentum));
  }
  return site.input;
}

Shape output_shape(const LayerSite& site, const ReLU&) { return site.input; }

Shape output_shape(const LayerSite& site, const MaxPool2d& layer) { return pool_output(site, layer); }

Shape output_shape(const LayerSite& site, const AvgPool2d& layer) { return pool_output(site, layer); }

Shape output_shape(const LayerSite& site, const GlobalAvgPool2d&) {
  require_image(site);
  return {site.input[0], site.input[1], 1, 1};
}

Shape output_shape(const LayerSite& site, const Flatten&) {
  return {site.input[0], site.input.count() / site.input[0]};
}

Shape output_shape(const LayerSite& site, const Linear& layer) {
  require_range(site, "in_features", layer.in_features, 1);
  require_range(site, "out_features", layer.out_features, 1);
  const Shape weight{layer.out_features, layer.in_features};
  if (site.input.rank() != 2) {
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

Shape output_shape(const LayerSite& site, const Dropout& layer) {
  if (!(layer.p >= 0.0 && layer.p < 1.0)) {  // a NaN fails
    site.fail(fmt::format("p is {}, but must be at least 0 and below 1", layer.p));
  }
  return site.input;
}

}  // namespace convoy
