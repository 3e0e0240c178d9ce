#include "engine/train/gradient_buckets.h"

namespace convoy {

std::vector<GradientBucket> gradient_buckets(std::span<const Variable> parameters, std::int64_t least_bytes) {
  std::vector<GradientBucket> buckets;
  std::size_t last = parameters.size();
  std::int64_t bytes = 0;
  for (std::size_t first = parameters.size(); first-- > 0;) {
    bytes += parameters[first].value->shape().count() * static_cast<std::int64_t>(sizeof(float));
    if (bytes < least_bytes && first > 0) continue;
    buckets.push_back({first, last});
    last = first;
    bytes = 0;
  }
  return buckets;
}

}  // namespace convoy
