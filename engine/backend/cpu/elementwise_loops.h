// Loops over memory in whatever order it is, number by number. A blocked layout's padding is zero and stays
// zero. Each runs on the calling thread; `combine_all` (loops.h) takes all.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/bfloat16.h"

namespace convoy::cpu {

/// out = a + b
void add(const float* a, const float* b, float* out, std::int64_t count);
void add(const Bfloat16* a, const Bfloat16* b, Bfloat16* out, std::int64_t count);

/// out = a b
void multiply(const float* a, const float* b, float* out, std::int64_t count);

/// out = `from` where a ReLU lets y pass (a value above zero or a NaN), else 0. `out` may be any of the
/// others.
void mask_by_relu(const float* y, const float* from, float* out, std::int64_t count);
void mask_by_relu(const Bfloat16* y, const Bfloat16* from, Bfloat16* out, std::int64_t count);

/// to = `from`, rounded if it has to be.
void convert(const Bfloat16* from, float* to, std::int64_t count);
void convert(const float* from, Bfloat16* to, std::int64_t count);

}  // namespace convoy::cpu
