// In which order an epoch visits the samples. Decided on the host, so that all backends see the same batches.
#pragma once

#include <cstdint>
#include <vector>

namespace convoy {

/// A permutation of 0 .. count-1: Fisher-Yates over Philox, a pure function of (seed, epoch, count). Both
/// functions throw UsageError if `count` is negative or does not fit in 32 bits.
std::vector<std::uint32_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::uint32_t epoch);

/// 0 .. count-1, for evaluation.
std::vector<std::uint32_t> sequential_order(std::int64_t count);

}  // namespace convoy
