// The order of the samples in an epoch. It is decided on the host, so that all backends get the same batches.
#pragma once

#include <cstdint>
#include <vector>

namespace convoy {

/// A permutation of 0 .. count - 1 by Fisher-Yates and Philox. It depends on seed, epoch and count only.
/// Throws UsageError if `count` is negative or does not fit in 32 bits.
std::vector<std::uint32_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::uint32_t epoch);

/// 0 .. count - 1, for evaluation. Throws as shuffled_order.
std::vector<std::uint32_t> sequential_order(std::int64_t count);

}  // namespace convoy
