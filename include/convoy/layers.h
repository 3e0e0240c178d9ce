// What a layer IS: plain structs with PyTorch's names and defaults. They know no memory and no device.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace convoy {

/// Height, then width.
using Extent = std::array<std::int64_t, 2>;

/// torch.nn.Conv2d with zero padding: x [N, in, H, W] -> [N, out, H', W'],
/// H' = (H + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down. `weight` is
/// [out, in / groups, kernel], `bias` [out].
struct Conv2d {
  static constexpr const char* kTypeName = "Conv2d";
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  Extent kernel_size = {1, 1};
  Extent stride = {1, 1};
  Extent padding = {0, 0};
  Extent dilation = {1, 1};
  std::int64_t groups = 1;
  bool bias = true;
};

/// torch.nn.BatchNorm2d (Ioffe and Szegedy, 2015), affine, with running statistics: the batch is normalised
/// by its biased variance, `running_var` follows the unbiased one, new = (1 - momentum) old + momentum batch.
struct BatchNorm2d {
  static constexpr const char* kTypeName = "BatchNorm2d";
  std::int64_t num_features = 0;
  double eps = 1e-5;
  double momentum = 0.1;
};

/// torch.nn.GroupNorm (Wu and He, 2018) of images: in training and evaluation alike, each group of
/// num_channels / num_groups neighbouring channels of an image is normalised by its own mean and biased
/// variance. `weight` and `bias` are [num_channels]; without `affine` there are none.
struct GroupNorm {
  static constexpr const char* kTypeName = "GroupNorm";
  std::int64_t num_groups = 0;
  std::int64_t num_channels = 0;
  double eps = 1e-5;
  bool affine = true;
};

/// torch.nn.ReLU; its gradient at 0 is 0.
struct ReLU {
  static constexpr const char* kTypeName = "ReLU";
};

/// torch.nn.MaxPool2d without dilation; a tie sends its gradient to the first maximum in row-major order.
/// `stride` 0 means `kernel_size`.
struct MaxPool2d {
  static constexpr const char* kTypeName = "MaxPool2d";
  Extent kernel_size = {2, 2};
  Extent stride = {0, 0};
  Extent padding = {0, 0};
};

/// torch.nn.AvgPool2d. `stride` 0 means `kernel_size`.
struct AvgPool2d {
  static constexpr const char* kTypeName = "AvgPool2d";
  Extent kernel_size = {2, 2};
  Extent stride = {0, 0};
  Extent padding = {0, 0};
  bool count_include_pad = true;
};

/// torch.nn.AdaptiveAvgPool2d(1): the mean over each channel's plane, [N, C, H, W] -> [N, C, 1, 1].
struct GlobalAvgPool2d {
  static constexpr const char* kTypeName = "GlobalAvgPool2d";
};

/// torch.nn.Flatten: [N, C, H, W] -> [N, C H W], in the order of PyTorch whatever the memory order is.
struct Flatten {
  static constexpr const char* kTypeName = "Flatten";
};

/// torch.nn.Linear: y = x W^T + b, `weight` [out, in], `bias` [out].
struct Linear {
  static constexpr const char* kTypeName = "Linear";
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool bias = true;
};

/// torch.nn.Dropout: in training each element is zeroed with probability `p`, the others are scaled by
/// 1 / (1 - p). The mask is Philox's and the same on every backend (engine/core/philox.h).
struct Dropout {
  static constexpr const char* kTypeName = "Dropout";
  double p = 0.5;
};

struct NamedLayer;

/// y = body(x) + shortcut(x) (He et al., 2015); an empty shortcut is the identity.
struct Residual {
  static constexpr const char* kTypeName = "Residual";
  std::vector<NamedLayer> body;
  std::vector<NamedLayer> shortcut;
};

using Layer = std::variant<Conv2d, BatchNorm2d, GroupNorm, ReLU, MaxPool2d, AvgPool2d, GlobalAvgPool2d,
                           Flatten, Linear, Dropout, Residual>;

/// A layer under its `state_dict` name, such as "layer1.0". Names inside a Residual are relative to it: its
/// "body.0" is "res1.body.0" in the state dict.
struct NamedLayer {
  std::string name;
  Layer layer;
};

/// "Conv2d", "BatchNorm2d", ...: the name in model files and tables.
std::string type_name(const Layer& layer);

/// One layer of each type, with the struct's defaults.
const std::vector<Layer>& layers_of_each_type();

}  // namespace convoy
