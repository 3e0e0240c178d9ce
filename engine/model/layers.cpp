#include "engine/model/layers.h"

#include <string_view>

namespace convoy {

std::string type_name(const Layer& layer) {
  // In the order of the variant's alternatives.
  static constexpr std::array<std::string_view, std::variant_size_v<Layer>> kNames = {
      "Conv2d",          "BatchNorm2d", "ReLU",   "MaxPool2d", "AvgPool2d",
      "GlobalAvgPool2d", "Flatten",     "Linear", "Dropout",   "Residual"};
  return std::string(kNames.at(layer.index()));
}

}  // namespace convoy
