// What the tests of this room share: small models.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "convoy/model.h"

namespace convoy {

inline Model model_of(Shape image, std::vector<NamedLayer> layers) {
  return {"test", std::move(image), std::move(layers)};
}

/// A model of one layer, named "layer".
inline Model single(Shape image, Layer layer) {
  return model_of(std::move(image), {{"layer", std::move(layer)}});
}

/// The entry of that name; it must be there.
inline LayerInfo info_of(const Model& model, std::int64_t batch, const std::string& name) {
  const auto infos = infer(model, batch);
  const auto entry = std::ranges::find(infos, name, &LayerInfo::name);
  if (entry == infos.end()) throw std::logic_error("no layer " + name);
  return *entry;
}

inline std::int64_t parameter_count(const Model& model) {
  std::int64_t sum = 0;
  for (const LayerInfo& info : infer(model, 1)) sum += info.parameters;
  return sum;
}

/// A model file around the given layers.
inline std::string file_of(const std::string& layers) {
  return R"({"name": "m", "input": [2, 8, 8], "layers": [)" + layers + "]}";
}

}  // namespace convoy
