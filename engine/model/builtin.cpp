#include "convoy/builtin.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "engine/model/layer_rules.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

/// What a built-in model is made for: the images' channels and [height, width], and the number of classes.
struct Task {
  std::int64_t channels = 0;
  Extent plane{};
  std::int64_t classes = 0;
};

Conv2d conv3x3(std::int64_t in, std::int64_t out, bool bias) {
  return {.in_channels = in, .out_channels = out, .kernel_size = {3, 3}, .padding = {1, 1}, .bias = bias};
}

/// The classic two-block network of the PyTorch tutorials.
std::vector<NamedLayer> convnet(const Task& task) {
  std::vector<NamedLayer> layers;
  std::int64_t in = task.channels;
  std::int64_t out = 16;
  for (const char* block : {"layer1.", "layer2."}) {
    const std::string prefix = block;
    layers.push_back(
        {prefix + "0",
         Conv2d{.in_channels = in, .out_channels = out, .kernel_size = {5, 5}, .padding = {2, 2}}});
    layers.push_back({prefix + "1", BatchNorm2d{out}});
    layers.push_back({prefix + "2", ReLU{}});
    layers.push_back({prefix + "3", MaxPool2d{}});
    in = std::exchange(out, 2 * out);
  }
  layers.push_back({"flatten", Flatten{}});
  layers.push_back({"fc", Linear{in * (task.plane[0] / 4) * (task.plane[1] / 4), task.classes}});
  return layers;
}

/// LeCun et al., 1998, in the form that is taught today: with ReLU and max pools, and every map of conv2
/// takes all maps of conv1. The paper's images are 32x32. Smaller ones are padded by 2, so 28x28 becomes
/// 32x32.
std::vector<NamedLayer> lenet5(const Task& task) {
  const bool small = std::min(task.plane[0], task.plane[1]) < 32;
  const std::int64_t padding = small ? 2 : 0;
  const auto pooled = [&](std::int64_t extent) { return ((extent + 2 * padding - 4) / 2 - 4) / 2; };
  const std::int64_t features = 16 * pooled(task.plane[0]) * pooled(task.plane[1]);
  return {
      {"conv1", Conv2d{.in_channels = task.channels,
                       .out_channels = 6,
                       .kernel_size = {5, 5},
                       .padding = {padding, padding}}},
      {"relu1", ReLU{}},
      {"pool1", MaxPool2d{}},
      {"conv2", Conv2d{.in_channels = 6, .out_channels = 16, .kernel_size = {5, 5}}},
      {"relu2", ReLU{}},
      {"pool2", MaxPool2d{}},
      {"flatten", Flatten{}},
      {"fc1", Linear{features, 120}},
      {"relu3", ReLU{}},
      {"fc2", Linear{120, 84}},
      {"relu4", ReLU{}},
      {"fc3", Linear{84, task.classes}},
  };
}

/// Simonyan and Zisserman, 2015, with batch norm, reduced to three stages and one linear layer. Layers have
/// the names that they have in torchvision's vgg*_bn.
std::vector<NamedLayer> vgg_small(const Task& task) {
  std::vector<NamedLayer> layers;
  const auto add = [&](Layer layer) {
    layers.push_back({"features." + std::to_string(layers.size()), std::move(layer)});
  };
  std::int64_t in = task.channels;
  for (const std::int64_t width : {32, 64, 128}) {
    for (int convolution = 0; convolution < 2; ++convolution) {
      add(conv3x3(in, width, /*bias=*/true));
      add(BatchNorm2d{width});
      add(ReLU{});
      in = width;
    }
    add(MaxPool2d{});
  }
  layers.push_back({"flatten", Flatten{}});
  layers.push_back({"classifier.0", Dropout{}});
  layers.push_back({"classifier.1", Linear{in * (task.plane[0] / 8) * (task.plane[1] / 8), task.classes}});
  return layers;
}

void add_conv_bn_relu(std::vector<NamedLayer>& layers, const std::string& prefix, std::int64_t in,
                      std::int64_t out) {
  layers.push_back({prefix + ".conv", conv3x3(in, out, /*bias=*/false)});
  layers.push_back({prefix + ".bn", BatchNorm2d{out}});
  layers.push_back({prefix + ".relu", ReLU{}});
}

Residual two_convolutions(std::int64_t width) {
  Residual residual;
  add_conv_bn_relu(residual.body, "res1", width, width);
  add_conv_bn_relu(residual.body, "res2", width, width);
  return residual;
}

/// Page's ResNet-9 of the DAWNBench CIFAR-10 entries (2018), without the fixed factor 0.125 on its logits.
std::vector<NamedLayer> resnet9(const Task& task) {
  std::vector<NamedLayer> layers;
  add_conv_bn_relu(layers, "prep", task.channels, 64);
  std::int64_t in = 64;
  for (const std::string block : {"layer1", "layer2", "layer3"}) {
    const std::int64_t out = 2 * in;
    add_conv_bn_relu(layers, block, in, out);
    layers.push_back({block + ".pool", MaxPool2d{}});
    if (block != "layer2") layers.push_back({block + ".residual", two_convolutions(out)});
    in = out;
  }
  // Three pools have halved height and width: 4x4 is left of CIFAR-10's images, 3x3 of MNIST's.
  const Extent rest = {task.plane[0] / 8, task.plane[1] / 8};
  layers.push_back({"classifier.pool", MaxPool2d{.kernel_size = rest}});
  layers.push_back({"classifier.flatten", Flatten{}});
  layers.push_back({"linear", Linear{.in_features = in, .out_features = task.classes, .bias = false}});
  return layers;
}

struct Builtin {
  std::string_view name;
  std::int64_t smallest;  // least height and width, of which the last pool leaves an element
  std::vector<NamedLayer> (*layers)(const Task&);
};

constexpr std::array<Builtin, 4> kBuiltins = {{
    {"convnet", 4, convnet},
    {"lenet5", 12, lenet5},
    {"vgg-small", 8, vgg_small},
    {"resnet9", 8, resnet9},
}};

constexpr auto kNames = [] {
  std::array<std::string_view, kBuiltins.size()> names;
  std::ranges::transform(kBuiltins, names.begin(), &Builtin::name);
  return names;
}();

}  // namespace

std::span<const std::string_view> builtin_model_names() { return kNames; }

Model builtin_model(const std::string& name, const Shape& image, std::int64_t classes) {
  const auto builtin = std::ranges::find(kBuiltins, name, &Builtin::name);
  if (builtin == kBuiltins.end()) {
    throw UsageError(fmt::format("there is no built-in model {}; choose one of {}, or a .json file",
                                 in_quotes(name), fmt::join(kNames, ", ")));
  }
  if (image.rank() != 3 || image[0] < 1) {
    throw UsageError(
        fmt::format("model {}: {} is not an image shape [C, H, W]", in_quotes(name), image.str()));
  }
  if (classes < 1)
    throw UsageError(fmt::format("model {}: {} classes are too few", in_quotes(name), classes));
  if (std::min(image[1], image[2]) < builtin->smallest) {
    throw UsageError(fmt::format("model {} needs images of at least {}x{} pixels, but these are {}",
                                 in_quotes(name), builtin->smallest, builtin->smallest, image.str()));
  }
  if (!fits_in_a_tensor(image)) {  // so that the builders' arithmetic cannot overflow
    throw UsageError(fmt::format("model {}: an image {} has more than {} elements", in_quotes(name),
                                 image.str(), kMaxElements));
  }
  const Task task{.channels = image[0], .plane = {image[1], image[2]}, .classes = classes};
  Model model{name, image, builtin->layers(task)};
  infer(model, 1);  // throws if there are too many channels or classes
  return model;
}

}  // namespace convoy
