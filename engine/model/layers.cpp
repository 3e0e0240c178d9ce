#include "convoy/layers.h"

#include <utility>

namespace convoy {

std::string type_name(const Layer& layer) {
  return std::visit([](const auto& alternative) { return std::string(alternative.kTypeName); }, layer);
}

const std::vector<Layer>& layers_of_each_type() {
  static const auto layers = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::vector<Layer>{Layer(std::in_place_index<I>)...};
  }
  (std::make_index_sequence<std::variant_size_v<Layer>>());
  return layers;
}

}  // namespace convoy
