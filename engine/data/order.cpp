#include "engine/data/order.h"

#include <fmt/format.h>

#include <limits>
#include <numeric>
#include <utility>

#include "convoy/error.h"
#include "engine/core/philox.h"
#include "engine/core/random_streams.h"

namespace convoy {

std::vector<std::uint32_t> sequential_order(std::int64_t count) {
  if (count < 0 || count > std::numeric_limits<std::uint32_t>::max()) {
    throw UsageError(fmt::format("cannot order {} samples: 0 to 2^32 - 1 are supported", count));
  }
  std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

std::vector<std::uint32_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::uint32_t epoch) {
  std::vector<std::uint32_t> order = sequential_order(count);
  PhiloxSequence random({.seed = seed, .stream = random_streams::kEpochOrder}, epoch);
  for (auto last = static_cast<std::uint32_t>(order.size()); last > 1; --last) {
    std::swap(order[last - 1], order[random.below(last)]);
  }
  return order;
}

}  // namespace convoy
