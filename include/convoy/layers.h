/// @file
/// The layers: plain structs with the names and defaults of torch.nn. A layer's kTypeName is the name of its
/// type in model files, tables and messages: PyTorch's, where PyTorch has such a layer. `infer` (model.h)
/// checks the settings.
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
  static constexpr const char* kTypeName = "Conv2d";  ///< its `type` in model files
  std::int64_t in_channels = 0;                       ///< at least 1; `groups` divides it
  std::int64_t out_channels = 0;                      ///< at least 1; `groups` divides it
  Extent kernel_size = {1, 1};                        ///< at least 1
  Extent stride = {1, 1};                             ///< at least 1
  Extent padding = {0, 0};                            ///< zeros at each side, at least 0
  Extent dilation = {1, 1};                           ///< distance between the kernel's elements, at least 1
  std::int64_t groups = 1;  ///< each sees in / groups channels and puts out out / groups
  bool bias = true;         ///< false: none is added
};

/// torch.nn.BatchNorm2d (Ioffe and Szegedy, 2015), affine, with running statistics: the batch is normalised
/// by its biased variance, `running_var` follows the unbiased one, new = (1 - momentum) old + momentum batch.
struct BatchNorm2d {
  static constexpr const char* kTypeName = "BatchNorm2d";  ///< its `type` in model files
  std::int64_t num_features = 0;                           ///< C of the input [N, C, H, W]
  double eps = 1e-5;                                       ///< added to the variance, at least 0
  double momentum = 0.1;  ///< share of the batch in the running statistics, 0 to 1
};

/// torch.nn.GroupNorm (Wu and He, 2018) of images: in training and evaluation alike, each group of
/// num_channels / num_groups neighbouring channels of an image is normalised by its own mean and biased
/// variance. `weight` and `bias` are [num_channels]; without `affine` there are none.
struct GroupNorm {
  static constexpr const char* kTypeName = "GroupNorm";  ///< its `type` in model files
  std::int64_t num_groups = 0;                           ///< divides `num_channels`
  std::int64_t num_channels = 0;                         ///< C of its input
  double eps = 1e-5;                                     ///< added to the variance
  bool affine = true;                                    ///< whether it has a weight and a bias, [C] each
};

/// torch.nn.ReLU; its gradient at 0 is 0.
struct ReLU {
  static constexpr const char* kTypeName = "ReLU";  ///< its `type` in model files
};

/// torch.nn.MaxPool2d without dilation; a tie sends its gradient to the first maximum in row-major order.
/// `stride` 0 means `kernel_size`.
struct MaxPool2d {
  static constexpr const char* kTypeName = "MaxPool2d";  ///< its `type` in model files
  Extent kernel_size = {2, 2};                           ///< at least 1
  Extent stride = {0, 0};                                ///< at least 0; 0 means `kernel_size`
  Extent padding = {0, 0};  ///< at each side, 0 to half of `kernel_size`; never the maximum
};

/// torch.nn.AvgPool2d. `stride` 0 means `kernel_size`.
struct AvgPool2d {
  static constexpr const char* kTypeName = "AvgPool2d";  ///< its `type` in model files
  Extent kernel_size = {2, 2};                           ///< at least 1
  Extent stride = {0, 0};                                ///< at least 0; 0 means `kernel_size`
  Extent padding = {0, 0};                               ///< zeros at each side, 0 to half of `kernel_size`
  bool count_include_pad = true;  ///< false: the mean is over the pixels without padding
};

/// torch.nn.AdaptiveAvgPool2d(1): the mean over each channel's plane, [N, C, H, W] -> [N, C, 1, 1].
struct GlobalAvgPool2d {
  static constexpr const char* kTypeName = "GlobalAvgPool2d";  ///< its `type` in model files
};

/// torch.nn.Flatten: [N, C, H, W] -> [N, C H W], in the order of PyTorch whatever the memory order is.
struct Flatten {
  static constexpr const char* kTypeName = "Flatten";  ///< its `type` in model files
};

/// torch.nn.Linear: y = x W^T + b, `weight` [out, in], `bias` [out].
struct Linear {
  static constexpr const char* kTypeName = "Linear";  ///< its `type` in model files
  std::int64_t in_features = 0;                       ///< at least 1; the input is [N, in_features]
  std::int64_t out_features = 0;                      ///< at least 1; the output is [N, out_features]
  bool bias = true;                                   ///< false: none is added
};

/// torch.nn.Dropout: in training each element is zeroed with probability `p`, the others are scaled by
/// 1 / (1 - p). The mask follows from the seed and the step, and is the same on every device.
struct Dropout {
  static constexpr const char* kTypeName = "Dropout";  ///< its `type` in model files
  double p = 0.5;                                      ///< 0 to 1
};

struct NamedLayer;

/// y = body(x) + shortcut(x) (He et al., 2015); an empty shortcut is the identity.
struct Residual {
  static constexpr const char* kTypeName = "Residual";  ///< its `type` in model files
  std::vector<NamedLayer> body;                         ///< at least one layer
  std::vector<NamedLayer> shortcut;                     ///< its output has the shape of the body's
};

/// Any one layer.
using Layer = std::variant<Conv2d, BatchNorm2d, GroupNorm, ReLU, MaxPool2d, AvgPool2d, GlobalAvgPool2d,
                           Flatten, Linear, Dropout, Residual>;

/// A layer under its `state_dict` name, such as "layer1.0". Names inside a Residual are relative to it: its
/// "body.0" is "res1.body.0" in the state dict.
struct NamedLayer {
  std::string name;  ///< letters, digits, '_' and '-' in parts joined by single dots, at most 128
  Layer layer;       ///< its type and settings
};

/// The layer's kTypeName: "Conv2d", "BatchNorm2d", ...
std::string type_name(const Layer& layer);

/// One layer of each type, with the struct's defaults.
const std::vector<Layer>& layers_of_each_type();

}  // namespace convoy
