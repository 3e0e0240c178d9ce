#include "engine/train/batch_share.h"

#include <algorithm>
#include <array>

namespace convoy {

BatchShare even_share(std::int64_t count, const GroupPlace& place) {
  const std::int64_t least = count / place.size, more = count % place.size;
  const std::int64_t rank = place.rank;
  return {least + (rank < more ? 1 : 0), rank * least + std::min(rank, more), count};
}

EpochShares::EpochShares(std::int64_t samples, std::int64_t batch, const GroupPlace& place)
    : count(samples),
      full_steps(samples / (batch * place.size)),
      full(batch, place.rank * batch, batch * place.size),
      rest(even_share(samples % full.of, place)) {}

std::int64_t EpochShares::samples_in(std::int64_t steps) const { return std::min(count, steps * full.of); }

std::vector<std::uint32_t> EpochShares::order(const std::vector<std::uint32_t>& whole) const {
  if (full.rows == full.of) return whole;
  std::vector<std::uint32_t> ours;
  ours.reserve(static_cast<std::size_t>(full_steps * full.rows + rest.rows));
  const auto take = [&](std::int64_t begin, std::int64_t rows) {
    ours.insert(ours.end(), whole.begin() + begin, whole.begin() + begin + rows);
  };
  for (std::int64_t step = 0; step < full_steps; ++step) take(step * full.of + full.first, full.rows);
  take(full_steps * full.of + rest.first, rest.rows);
  return ours;
}

MetricsReading sum_over(Communicator& group, const MetricsReading& reading) {
  if (group.size() == 1) return reading;
  std::array<double, 4> sums = {reading.last_loss, reading.loss_sum, static_cast<double>(reading.correct),
                                static_cast<double>(reading.samples)};
  group.sum(std::span<double>(sums));
  return {sums[0], sums[1], static_cast<std::int64_t>(sums[2]), static_cast<std::int64_t>(sums[3])};
}

}  // namespace convoy
