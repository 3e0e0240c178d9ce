#include "convoy/layers.h"

namespace convoy {

std::string type_name(const Layer& layer) {
  return std::visit([](const auto& alternative) { return std::string(alternative.kTypeName); }, layer);
}

}  // namespace convoy
