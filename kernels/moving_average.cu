#include "kernels/moving_average.h"

#include "kernels/launch.h"
#include "kernels/moving_average_math.h"
#include "kernels/pack.h"

namespace convoy::kernels {

constexpr int kAverageLanes = 4;  // values a thread: one 16-byte access to each arena

// The first blocks have the parameters, those behind them the statistics.
struct AverageBlocks {
  unsigned of_parameters;
  unsigned of_statistics;
};

AverageBlocks average_blocks(const MovingAverageArenas& arenas) {
  return {blocks_for(arenas.parameters.count, kMapThreads * kAverageLanes),
          blocks_for(arenas.statistics.count, kMapThreads * kAverageLanes)};
}

/// Calls change(mean, value) for this thread's pack of whichever arena its block has, and stores both where
/// `kValues`, else the mean alone.
template <bool kValues, typename Change>
__device__ void change_pack(const MovingAverageArenas& arenas, unsigned of_parameters, Change change) {
  const bool first = blockIdx.x < of_parameters;
  const AveragedArena arena = first ? arenas.parameters : arenas.statistics;
  const std::int64_t pack =
      static_cast<std::int64_t>(first ? blockIdx.x : blockIdx.x - of_parameters) * blockDim.x + threadIdx.x;
  const std::int64_t begin = pack * kAverageLanes;
  if (begin + kAverageLanes <= arena.count) {
    Pack<float> means = reinterpret_cast<const Pack<float>*>(arena.means)[pack];
    Pack<float> values = reinterpret_cast<const Pack<float>*>(arena.values)[pack];
    for (int lane = 0; lane < kAverageLanes; ++lane) change(means.value[lane], values.value[lane]);
    reinterpret_cast<Pack<float>*>(arena.means)[pack] = means;
    if constexpr (kValues) {
      reinterpret_cast<Pack<float>*>(arena.values)[pack] = values;
      if (!arena.copies) return;
      Pack<__nv_bfloat16, kAverageLanes> copies;
      for (int lane = 0; lane < kAverageLanes; ++lane)
        copies.value[lane] = from_float<__nv_bfloat16>(values.value[lane]);
      reinterpret_cast<Pack<__nv_bfloat16, kAverageLanes>*>(arena.copies)[pack] = copies;
    }
    return;
  }
  for (std::int64_t i = begin; i < arena.count; ++i) {  // the arena's last 1 to 3 values
    float value = arena.values[i];
    change(arena.means[i], value);
    if constexpr (kValues) {
      arena.values[i] = value;
      if (arena.copies) arena.copies[i] = from_float<__nv_bfloat16>(value);
    }
  }
}

// Bound by memory: reads 8 and writes 4 bytes a value.
__global__ void __launch_bounds__(kMapThreads)
    moving_average_update_kernel(MovingAverageArenas arenas, unsigned of_parameters) {
  const float weight = *arenas.step == *arenas.begun + 1 ? 1.0f : arenas.weight;
  change_pack<false>(arenas, of_parameters,
                     [weight](float& mean, float value) { mean = moved_average(mean, value, weight); });
}

__global__ void __launch_bounds__(kMapThreads)
    moving_average_swap_kernel(MovingAverageArenas arenas, unsigned of_parameters) {
  change_pack<true>(arenas, of_parameters, [](float& mean, float& value) {
    const float kept = mean;
    mean = value;
    value = kept;
  });
}

void moving_average_update(const MovingAverageArenas& arenas, cudaStream_t stream) {
  const AverageBlocks blocks = average_blocks(arenas);
  if (blocks.of_parameters + blocks.of_statistics == 0) return;
  launch(moving_average_update_kernel,
         {.blocks = blocks.of_parameters + blocks.of_statistics, .threads = kMapThreads}, stream, arenas,
         blocks.of_parameters);
}

void moving_average_swap(const MovingAverageArenas& arenas, cudaStream_t stream) {
  const AverageBlocks blocks = average_blocks(arenas);
  if (blocks.of_parameters + blocks.of_statistics == 0) return;
  launch(moving_average_swap_kernel,
         {.blocks = blocks.of_parameters + blocks.of_statistics, .threads = kMapThreads}, stream, arenas,
         blocks.of_parameters);
}

}  // namespace convoy::kernels
