// What is computed element by element. All tensors are on the device and 16-byte aligned; an output may be
// one of the inputs; an empty tensor enqueues nothing. Every function throws CudaError.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "engine/core/philox.h"
#include "kernels/memory_order.h"

namespace convoy::kernels {

/// y = max(0, x); NaN stays NaN.
void relu_forward(const void* x, void* y, DType dtype, std::int64_t count, cudaStream_t stream);

/// What the backward of a ReLU reads and writes.
struct ReluGradient {
  const void* y = nullptr;  // what forward made
  const void* dy = nullptr;
  void* dx = nullptr;  // dy where y > 0 (or NaN), else 0
};

void relu_backward(const ReluGradient& tensors, DType dtype, std::int64_t count, cudaStream_t stream);

/// out = a + b: a residual's sum, or the gradients that meet at a fork.
struct Addition {
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
};

void add(const Addition& tensors, DType dtype, std::int64_t count, cudaStream_t stream);

/// The same elements in another order of memory; `to` is not `from`.
struct Reordering {
  const void* from = nullptr;
  MemoryOrder from_order;
  void* to = nullptr;
  MemoryOrder to_order;
};

void reorder(const Reordering& tensors, DType dtype, std::int64_t count, cudaStream_t stream);

struct DropoutOptions {
  float p = 0.5f;  // 1: everything is zeroed
  RandomStream random;
  const std::int64_t* step = nullptr;  // the device-side step counter
};

/// out = in / (1 - p) where uniform_at(random, step, row-major index) >= p, else 0 (NaN stays NaN). Forward
/// maps x to y and backward dy to dx: the mask is drawn again, not stored.
struct DropoutTensors {
  const void* in = nullptr;
  void* out = nullptr;
  DType dtype = DType::float32;
  std::int64_t count = 0;
  MemoryOrder order;  // of both
};

void dropout(const DropoutTensors& tensors, const DropoutOptions& options, cudaStream_t stream);

}  // namespace convoy::kernels
