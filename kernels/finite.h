// Looks for the first NaN or infinity of a training: a look that may be enqueued behind every operation.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"

namespace convoy::kernels {

constexpr std::int32_t kAllFinite = -1;

/// In device memory: what was found first, in the order of the stream.
struct FiniteReport {
  std::int32_t operation;  // the caller's number for it, or kAllFinite
  std::int64_t step;
};

/// Enqueues report = nothing found. Throws CudaError.
void reset_finite_report(FiniteReport* report, cudaStream_t stream);

/// What is looked at, and on whose behalf.
struct FiniteCheck {
  const void* values = nullptr;  // [count] of `dtype`, 16-byte aligned
  DType dtype = DType::float32;
  std::int64_t count = 0;
  std::int32_t operation = 0;          // not negative
  const std::int64_t* step = nullptr;  // the device-side step counter
  FiniteReport* report = nullptr;
};

/// Enqueues a look at every value; the report is written once, then left as it is. An empty tensor enqueues
/// nothing. Throws CudaError.
void check_finite(const FiniteCheck& check, cudaStream_t stream);

}  // namespace convoy::kernels
