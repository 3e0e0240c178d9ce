#include "kernels/muon.h"

#include <cmath>

#include "kernels/launch.h"
#include "kernels/muon_math.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"

namespace convoy::kernels {

constexpr int kMuonLanes = 4;

/// Calls pack(first element) for whole packs of this block's chunk, and one(element) for the 1 to 3 behind.
template <typename OfPack, typename OfOne>
__device__ void walk_chunk(const MuonChunk& chunk, OfPack of_pack, OfOne of_one) {
  const int whole = chunk.count / kMuonLanes * kMuonLanes;
  for (int i = static_cast<int>(threadIdx.x) * kMuonLanes; i < whole;
       i += static_cast<int>(blockDim.x) * kMuonLanes) {
    of_pack(chunk.begin + i);
  }
  const int rest = whole + static_cast<int>(threadIdx.x);
  if (rest < chunk.count) of_one(chunk.begin + rest);
}

__device__ inline Pack<float> load_at(const float* arena, std::int64_t element) {
  return *reinterpret_cast<const Pack<float>*>(arena + element);
}

__device__ inline void store_at(float* arena, std::int64_t element, const Pack<float>& value) {
  *reinterpret_cast<Pack<float>*>(arena + element) = value;
}

// Bound by memory, as all of them: reads 8 and writes 8 bytes a parameter.
__global__ void __launch_bounds__(kMapThreads) muon_directions_kernel(MuonArenas arenas, MuonRule rule) {
  const MuonChunk chunk = arenas.chunks[blockIdx.x];
  const float factor = arenas.gradient_factor ? *arenas.gradient_factor : 1.0f;
  double squares = 0.0;
  walk_chunk(
      chunk,
      [&](std::int64_t element) {
        const Pack<float> gradients = load_at(arenas.gradients, element);
        Pack<float> momentum = load_at(arenas.momentum, element);
        Pack<float> directions;
        for (int lane = 0; lane < kMuonLanes; ++lane) {
          const float direction = muon_direction(factor * gradients.value[lane], momentum.value[lane],
                                                 rule.momentum, rule.nesterov);
          directions.value[lane] = direction;
          squares += static_cast<double>(direction) * direction;
        }
        store_at(arenas.momentum, element, momentum);
        store_at(arenas.directions, element, directions);
      },
      [&](std::int64_t element) {
        const float direction = muon_direction(factor * arenas.gradients[element], arenas.momentum[element],
                                               rule.momentum, rule.nesterov);
        arenas.directions[element] = direction;
        squares += static_cast<double>(direction) * direction;
      });
  squares = block_reduce(squares, 0.0, Sum{});
  if (threadIdx.x == 0) arenas.partials[blockIdx.x] = squares;
}

__global__ void __launch_bounds__(kMapThreads) muon_normalize_kernel(MuonArenas arenas) {
  const MuonChunk chunk = arenas.chunks[blockIdx.x];
  const MuonMatrix matrix = arenas.matrices[chunk.matrix];
  double squares = 0.0;  // every block of a matrix sums the same in the same order
  for (int i = static_cast<int>(threadIdx.x); i < matrix.chunks; i += static_cast<int>(blockDim.x)) {
    squares += arenas.partials[matrix.first_chunk + i];
  }
  const auto norm = static_cast<float>(std::sqrt(block_reduce(squares, 0.0, Sum{})));
  const float scale = 1.0f / (norm < kMuonEpsilon ? kMuonEpsilon : norm);
  walk_chunk(
      chunk,
      [&](std::int64_t element) {
        Pack<float> directions = load_at(arenas.directions, element);
        for (float& direction : directions.value) direction *= scale;
        store_at(arenas.directions, element, directions);
      },
      [&](std::int64_t element) { arenas.directions[element] *= scale; });
}

__global__ void __launch_bounds__(kMapThreads)
    muon_apply_kernel(MuonArenas arenas, MuonRule rule, const StepScalars* scalars) {
  const MuonChunk chunk = arenas.chunks[blockIdx.x];
  const float shape_factor = arenas.matrices[chunk.matrix].shape_factor;
  const float rate = rule.rate_factor * scalars->learning_rate;
  const auto updated = [&](float parameter, float orthogonal) {
    return muon_update(parameter, orthogonal, rate, shape_factor, rule.weight_decay);
  };
  walk_chunk(
      chunk,
      [&](std::int64_t element) {
        Pack<float> parameters = load_at(arenas.parameters, element);
        const Pack<float> orthogonal = load_at(arenas.orthogonal, element);
        for (int lane = 0; lane < kMuonLanes; ++lane) {
          parameters.value[lane] = updated(parameters.value[lane], orthogonal.value[lane]);
        }
        store_at(arenas.parameters, element, parameters);
        if (!arenas.copies) return;
        Pack<__nv_bfloat16, kMuonLanes> copies;
        for (int lane = 0; lane < kMuonLanes; ++lane)
          copies.value[lane] = from_float<__nv_bfloat16>(parameters.value[lane]);
        *reinterpret_cast<Pack<__nv_bfloat16, kMuonLanes>*>(arenas.copies + element) = copies;
      },
      [&](std::int64_t element) {
        arenas.parameters[element] = updated(arenas.parameters[element], arenas.orthogonal[element]);
        if (arenas.copies) arenas.copies[element] = from_float<__nv_bfloat16>(arenas.parameters[element]);
      });
}

void muon_directions(const MuonArenas& arenas, const MuonRule& rule, cudaStream_t stream) {
  if (arenas.chunk_count == 0) return;
  const LaunchShape shape{.blocks = static_cast<unsigned>(arenas.chunk_count), .threads = kMapThreads};
  launch(muon_directions_kernel, shape, stream, arenas, rule);
  launch(muon_normalize_kernel, shape, stream, arenas);
}

void muon_apply(const MuonArenas& arenas, const MuonRule& rule, const StepScalars* scalars,
                cudaStream_t stream) {
  if (arenas.chunk_count == 0) return;
  launch(muon_apply_kernel, {.blocks = static_cast<unsigned>(arenas.chunk_count), .threads = kMapThreads},
         stream, arenas, rule, scalars);
}

}  // namespace convoy::kernels
