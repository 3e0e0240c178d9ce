#include "kernels/gradient_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"

namespace convoy::kernels {

constexpr int kNormLanes = 4;  // gradients in a load

__device__ inline double square(float value) { return static_cast<double>(value) * value; }

// Bound by memory: reads 4 bytes a gradient once.
__global__ void __launch_bounds__(kMapThreads) gradient_norm_kernel(GradientNorm norm) {
  const auto* const packs = reinterpret_cast<const Pack<float>*>(norm.gradients);
  const std::int64_t whole = norm.count / kNormLanes;
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  double sum = 0.0;
  for (std::int64_t pack = global_thread(); pack < whole; pack += threads) {
    const Pack<float> gradients = packs[pack];
    for (int lane = 0; lane < kNormLanes; ++lane) sum += square(gradients.value[lane]);
  }
  const std::int64_t rest = whole * kNormLanes + global_thread();
  if (rest < norm.count) sum += square(norm.gradients[rest]);
  sum = block_reduce(sum, 0.0, Sum{});
  if (threadIdx.x == 0) norm.partials[blockIdx.x] = sum;
  if (!is_last_block(norm.arrived, gridDim.x)) return;
  double total = 0.0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) total += norm.partials[block];
  total = block_reduce(total, 0.0, Sum{});
  if (threadIdx.x == 0) *norm.result = clipped_norm(std::sqrt(total), norm.max_norm);
}

void measure_gradient_norm(const GradientNorm& norm, cudaStream_t stream) {
  const unsigned wanted = std::max(1u, blocks_for(norm.count, kMapThreads * kNormLanes));
  launch(gradient_norm_kernel, {.blocks = std::min(wanted, kNormBlocks), .threads = kMapThreads}, stream,
         norm);
}

}  // namespace convoy::kernels
