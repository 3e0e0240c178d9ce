// What the loops of several operations share.
#pragma once

#include <cstdint>

namespace convoy::cpu {

/// What ReLU and its gradient let through; as in PyTorch, a NaN, too.
inline bool relu_passes(float value) { return !(value <= 0.0f); }

/// Loops shorter than this run on one thread: waking the others takes longer than the loop.
constexpr std::int64_t kParallelFrom = 16384;

}  // namespace convoy::cpu
