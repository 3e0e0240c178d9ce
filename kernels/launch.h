// The one way to launch a kernel: checked, and typed by the kernel's own parameters. For .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <source_location>
#include <string>
#include <utility>

#include "kernels/cuda_error.h"

namespace convoy::kernels {

/// One- or two-dimensional grids of one-dimensional blocks are all that the kernels need.
struct LaunchShape {
  unsigned blocks = 1;
  unsigned threads = 1;
  unsigned rows_of_blocks = 1;  // gridDim.y
  std::source_location where = std::source_location::current();
};

/// Blocks that cover `count` elements at `per_block` each. Throws Error beyond what a grid can hold.
inline unsigned blocks_for(std::int64_t count, std::int64_t per_block) {
  const std::int64_t blocks = (count + per_block - 1) / per_block;
  if (blocks > 0x7fffffff) {
    throw Error("a tensor of " + std::to_string(count) + " elements is too large for one kernel launch");
  }
  return static_cast<unsigned>(blocks);
}

/// Enqueues `kernel` on `stream`. Throws CudaError if the launch is refused.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
            Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(shape.blocks, shape.rows_of_blocks);
  config.blockDim = dim3(shape.threads);
  config.stream = stream;
  const cudaError_t code = cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
  if (code == cudaSuccess) return;
  throw CudaError(code,
                  std::string("the launch of ") + std::to_string(shape.blocks) + " x " +
                      std::to_string(shape.rows_of_blocks) + " blocks of " + std::to_string(shape.threads) +
                      " threads in " + shape.where.function_name(),
                  shape.where);
}

}  // namespace convoy::kernels
