#include "tests/train/model_drawer.h"

#include <algorithm>
#include <string>

#include "engine/core/philox.h"

namespace convoy {
namespace {

constexpr std::uint64_t kSeed = 13;
constexpr std::int64_t kWidestSquare = 100;  // features of a Linear(F, F): it has as many weights squared
constexpr std::int64_t kFewestPixels = 4;    // of a plane that is normalised; see ModelDrawer::normalise

using Layers = std::vector<NamedLayer>;

/// What flows on: [C, H, W], or [F] after a Flatten.
using Flow = Shape;

bool is_image(const Flow& flow) { return flow.rank() == 3; }

Flow after(const Flow& flow, const Layer& layer) {
  const Shape image = is_image(flow) ? flow : Shape{flow[0], 1, 1};
  Layers layers = {{"layer", layer}};
  if (!is_image(flow)) layers.insert(layers.begin(), {"flatten", Flatten{}});
  const Shape output = infer(Model{"one layer", image, layers}, 1).back().output;
  const auto dimensions = output.dimensions();
  return Shape(std::vector<std::int64_t>(dimensions.begin() + 1, dimensions.end()));
}

class ModelDrawer {
 public:
  explicit ModelDrawer(std::uint32_t number) : random_({kSeed, number}) {}

  Model draw(const std::string& name) {
    Model model{name, {from(1, 3), from(5, 9), from(4, 8)}, {}};
    Flow flow = model.input;
    for (std::int64_t count = from(2, 5); count > 0; --count) add_any(model.layers, flow, 0);
    if (is_image(flow)) add(model.layers, flow, Flatten{});
    while (flow[0] < 2 || one_in(2)) {
      add(model.layers, flow, Linear{flow[0], from(2, 9), !one_in(4)});
      if (one_in(2)) add(model.layers, flow, one_in(2) ? Layer(ReLU{}) : Layer(Dropout{0.25}));
    }
    return model;
  }

 private:
  std::int64_t from(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_.below(static_cast<std::uint32_t>(high - low + 1)));
  }
  bool one_in(std::int64_t n) { return from(1, n) == 1; }
  Extent extent(std::int64_t low, const Extent& high) { return {from(low, high[0]), from(low, high[1])}; }

  static void add(Layers& layers, Flow& flow, Layer layer) {
    flow = after(flow, layer);
    layers.push_back({std::to_string(layers.size()), std::move(layer)});
  }

  void add_any(Layers& layers, Flow& flow, int depth) {
    switch (from(0, is_image(flow) ? 9 : 4)) {
      case 0:
        return add(layers, flow, ReLU{});
      case 1:
        return add(layers, flow, Dropout{0.3});
      case 2:
        return add(layers, flow, Flatten{});
      case 3:
        return add(layers, flow, residual(flow, depth));
      case 4:
        return is_image(flow) ? add(layers, flow, max_pool(flow))
                              : add(layers, flow, Linear{flow[0], from(2, 20)});
      case 5:
        return add(layers, flow, average_pool(flow));
      case 6:
        return add(layers, flow, one_in(3) ? Layer(GlobalAvgPool2d{}) : Layer(average_pool(flow)));
      default:
        return add_convolution(layers, flow);
    }
  }

  static Extent window(const Flow& flow) {
    return {std::min<std::int64_t>(3, flow[1]), std::min<std::int64_t>(3, flow[2])};
  }

  void add_convolution(Layers& layers, Flow& flow) {
    // 17 channels fill no block of 8 or 16, as backends have them in memory.
    Conv2d layer{flow[0], one_in(5) ? 17 : from(1, 6), extent(1, window(flow)), extent(1, {2, 2})};
    layer.padding = extent(0, {layer.kernel_size[0] - 1, layer.kernel_size[1] - 1});
    layer.bias = !one_in(3);
    if (one_in(3)) {  // depthwise, or any other number of groups
      layer.groups = flow[0];
      layer.out_channels = flow[0] * from(1, 2);
    }
    if (one_in(3) && flow[1] > 4 && flow[2] > 4) layer.dilation = {2, 2};
    add(layers, flow, layer);
    if (layer.groups == 1) normalise(layers, flow, layer);
  }

  /// Sometimes a norm behind a convolution. It divides by what a channel (or a group of them) deviates, so a
  /// factor in front of it has no gradient: only a channel that sums over several inputs has one that is more
  /// than rounding. And of few numbers a channel nearly all normalise to the same ones.
  void normalise(Layers& layers, Flow& flow, const Conv2d& layer) {
    const bool sums = layer.in_channels > 1 || layer.kernel_size[0] * layer.kernel_size[1] > 2;
    if (!sums || flow[1] * flow[2] < kFewestPixels || one_in(3)) return;
    add(layers, flow, one_in(2) ? Layer(BatchNorm2d{flow[0]}) : Layer(group_norm(flow)));
    if (!one_in(3)) add(layers, flow, ReLU{});
  }

  GroupNorm group_norm(const Flow& flow) {
    GroupNorm layer{.num_groups = from(1, flow[0]), .num_channels = flow[0]};
    while (flow[0] % layer.num_groups != 0) --layer.num_groups;
    layer.affine = !one_in(3);
    return layer;
  }

  MaxPool2d max_pool(const Flow& flow) {
    MaxPool2d layer{extent(1, window(flow)), extent(0, {2, 2})};
    layer.padding = extent(0, {layer.kernel_size[0] / 2, layer.kernel_size[1] / 2});
    return layer;
  }

  AvgPool2d average_pool(const Flow& flow) {
    AvgPool2d layer{extent(1, window(flow)), extent(0, {2, 2})};
    layer.padding = extent(0, {layer.kernel_size[0] / 2, layer.kernel_size[1] / 2});
    layer.count_include_pad = one_in(2);
    return layer;
  }

  /// Layers, one at least, that put out the shape that they take.
  void keep(Layers& layers, Flow& flow, int depth) {
    for (std::int64_t count = from(1, 2); count > 0; --count) {
      switch (from(0, 4)) {
        case 0:
          add(layers, flow, ReLU{});
          break;
        case 1:
          add(layers, flow, Dropout{0.2});
          break;
        case 2:
          if (depth == 0) add(layers, flow, identity(flow, depth + 1));
          [[fallthrough]];
        default:
          add_same(layers, flow);
      }
    }
  }

  void add_same(Layers& layers, Flow& flow) {
    if (is_image(flow)) {
      const Conv2d layer{flow[0], flow[0], {3, 3}, {1, 1}, {1, 1}};
      add(layers, flow, layer);
      normalise(layers, flow, layer);
    } else if (flow[0] <= kWidestSquare) {
      add(layers, flow, Linear{flow[0], flow[0]});
    } else {
      add(layers, flow, Flatten{});
    }
  }

  Residual identity(Flow flow, int depth) {
    Residual layer;
    keep(layer.body, flow, depth);
    return layer;
  }

  /// Both ways by a layer of their own: to other channels and strides, or to other features.
  Residual projection(const Flow& flow, int depth) {
    Residual layer;
    Flow body = flow, shortcut = flow;
    if (is_image(flow)) {
      const Extent stride = extent(1, {2, 2});
      const std::int64_t channels = from(1, 6);
      add(layer.body, body, Conv2d{flow[0], channels, {3, 3}, stride, {1, 1}});
      add(layer.shortcut, shortcut, Conv2d{flow[0], channels, {1, 1}, stride});
    } else {
      const std::int64_t features = from(2, 12);
      add(layer.body, body, Linear{flow[0], features});
      add(layer.shortcut, shortcut, Linear{flow[0], features, false});
    }
    keep(layer.body, body, depth);
    return layer;
  }

  /// Images go in, rows come out of both ways.
  Residual flattening(const Flow& flow, int depth) {
    Residual layer;
    Flow body = flow, shortcut = flow;
    if (one_in(2)) keep(layer.body, body, depth);
    add(layer.body, body, Flatten{});
    keep(layer.body, body, depth);
    add(layer.shortcut, shortcut, Flatten{});
    if (one_in(3)) std::swap(layer.body, layer.shortcut);
    return layer;
  }

  Residual residual(const Flow& flow, int depth) {
    const std::int64_t kind = from(0, is_image(flow) ? 2 : 1);
    if (kind == 0) return identity(flow, depth);
    Residual layer = kind == 1 ? projection(flow, depth) : flattening(flow, depth);
    for (NamedLayer& named : layer.shortcut) named.name = "shortcut." + named.name;  // apart from the body's
    return layer;
  }

  PhiloxSequence random_;
};

}  // namespace

Model draw_model(std::uint32_t number) { return ModelDrawer(number).draw("model-" + std::to_string(number)); }

}  // namespace convoy
