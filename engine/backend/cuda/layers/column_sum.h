// Sums over the rows of a [rows, channels] tensor, with the scratch memory that they need.
#pragma once

#include "engine/backend/cuda/runtime/memory.h"
#include "engine/backend/cuda/runtime/tensor.h"
#include "kernels/linear.h"

namespace convoy::cuda {

class ColumnSum {
 public:
  ColumnSum(std::int64_t rows, std::int32_t channels)
      : rows_(rows),
        channels_(channels),
        partials_(kernels::column_partials_bytes(rows, channels)),
        arrived_(kernels::column_counters(rows, channels) * sizeof(unsigned)) {}

  kernels::ColumnScratch scratch() const { return {partials_.data(), arrived_.as<unsigned>()}; }

  /// Enqueues sums = the column sums of `values` ([rows, channels] in memory), fp32.
  void sum(const DeviceTensor& values, const DeviceTensor& sums, cudaStream_t stream) const {
    kernels::bias_gradient({.dy = values.data(),
                            .dbias = sums.as<float>(),
                            .dtype = values.dtype(),
                            .rows = rows_,
                            .channels = channels_,
                            .scratch = scratch()},
                           stream);
  }

 private:
  std::int64_t rows_;
  std::int32_t channels_;
  Buffer partials_;
  Buffer arrived_;
};

}  // namespace convoy::cuda
