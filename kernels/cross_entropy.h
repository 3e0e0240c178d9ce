// Softmax cross-entropy: loss, hits and the gradient of the logits in one launch.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "kernels/metrics.h"

namespace convoy::kernels {

/// What one row contributes to the metrics.
struct RowResult {
  float loss;
  std::int32_t hit;  // 1 if the first maximum is the label
};

/// Device memory, row-major. A NaN counts as the maximum of its row (as in PyTorch's argmax).
struct CrossEntropyBatch {
  const void* logits = nullptr;  // [rows, classes] of `dtype`
  void* dlogits = nullptr;       // the same, or null: no gradient wanted
  DType dtype = DType::float32;
  const std::int32_t* labels = nullptr;  // [rows]; one outside 0 .. classes-1 makes its row's loss NaN
  RowResult* results = nullptr;          // [rows], scratch
  std::int64_t rows = 0;
  std::int64_t classes = 0;
  std::int64_t mean_over = 0;    // what the mean loss and its gradient divide by: rows, or a group's; 0: rows
  float label_smoothing = 0.0f;  // 0 to 1: the part of the target that all classes share
  LossMetrics* metrics = nullptr;
};

/// Enqueues the batch's part of the mean loss, its gradient (softmax - target) / mean_over, and what they add
/// to `metrics`. The target is label_smoothing / classes, and for the label 1 - label_smoothing more. An
/// empty batch enqueues nothing. Deterministic: the rows' losses are summed by one block, in one order.
/// Throws CudaError.
void cross_entropy(const CrossEntropyBatch& batch, cudaStream_t stream);

}  // namespace convoy::kernels
