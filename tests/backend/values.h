// Inputs for tests: pure functions of shape and seed, and every one of them a float, so that all backends
// start from the same numbers.
#pragma once

#include <cstdint>

#include "convoy/host_tensor.h"

namespace convoy {

/// Uniform integers in [-limit, limit]. Sums of their products are exact in fp32 as long as they stay below
/// 2^24, so a wrong index cannot hide behind a tolerance.
HostTensor small_integers(const Shape& shape, std::uint32_t limit, std::uint64_t seed);

/// Normal numbers of that mean and standard deviation.
HostTensor normals(const Shape& shape, std::uint64_t seed, double mean = 0.0, double deviation = 1.0);

/// Labels below `classes`, shape [count].
HostTensor random_labels(std::int64_t count, std::int64_t classes, std::uint64_t seed);

}  // namespace convoy
