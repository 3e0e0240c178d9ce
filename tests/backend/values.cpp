#include "tests/backend/values.h"

#include <cmath>
#include <numbers>

#include "engine/core/philox.h"

namespace convoy {

HostTensor small_integers(const Shape& shape, std::uint32_t limit, std::uint64_t seed) {
  HostTensor tensor = zeros(shape);
  PhiloxSequence random({.seed = seed});
  for (double& value : tensor.values) value = static_cast<double>(random.below(2 * limit + 1)) - limit;
  return tensor;
}

HostTensor normals(const Shape& shape, std::uint64_t seed, double mean, double deviation) {
  HostTensor tensor = zeros(shape);
  PhiloxSequence random({.seed = seed});
  for (double& value : tensor.values) {  // Box and Muller, 1958
    const double radius = std::sqrt(-2.0 * std::log(1.0 - random.uniform(0.0, 1.0)));
    const double normal = radius * std::cos(2.0 * std::numbers::pi * random.uniform(0.0, 1.0));
    value = static_cast<float>(mean + deviation * normal);
  }
  return tensor;
}

HostTensor random_labels(std::int64_t count, std::int64_t classes, std::uint64_t seed) {
  HostTensor tensor = zeros({count}, DType::int32);
  PhiloxSequence random({.seed = seed});
  for (double& value : tensor.values) value = random.below(static_cast<std::uint32_t>(classes));
  return tensor;
}

}  // namespace convoy
