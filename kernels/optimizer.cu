#include "kernels/optimizer.h"

#include "kernels/adam_math.h"
#include "kernels/average_math.h"
#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/sgd_math.h"

namespace convoy::kernels {

using FloatPack = Pack<float>;
constexpr int kLanes = 4;  // parameters a thread: one 16-byte access to each arena

__device__ inline FloatPack load_pack(const float* arena, std::int64_t pack) {
  return reinterpret_cast<const FloatPack*>(arena)[pack];
}

__device__ inline void store_pack(float* arena, std::int64_t pack, const FloatPack& value) {
  reinterpret_cast<FloatPack*>(arena)[pack] = value;
}

__device__ inline void store_copies(__nv_bfloat16* copies, std::int64_t pack, const FloatPack& value) {
  if (!copies) return;
  Pack<__nv_bfloat16, kLanes> rounded;
  for (int lane = 0; lane < kLanes; ++lane)
    rounded.value[lane] = from_float<__nv_bfloat16>(value.value[lane]);
  reinterpret_cast<Pack<__nv_bfloat16, kLanes>*>(copies)[pack] = rounded;
}

__device__ inline ParameterGroup group_at(const ParameterGroup* groups, std::int64_t element) {
  return groups ? groups[element / kGroupElements] : ParameterGroup::decayed;
}

// Bound by memory: reads 16 and writes 12 bytes a parameter (14 with a copy).
__global__ void __launch_bounds__(kMapThreads, kMapBlocks)
    adam_step_kernel(AdamArenas arenas, AdamOptions options, const StepScalars* of_step) {
  const StepScalars scalars = *of_step;
  const std::int64_t pack = global_thread();
  const std::int64_t begin = pack * kLanes;
  if (begin >= arenas.count) return;
  const ParameterGroup group = group_at(arenas.groups, begin);
  if (group == ParameterGroup::orthogonalized) return;
  if (group == ParameterGroup::undecayed) options.weight_decay = 0.0f;
  const float factor = arenas.gradient_factor ? *arenas.gradient_factor : 1.0f;
  if (begin + kLanes <= arenas.count) {
    FloatPack p = load_pack(arenas.parameters, pack);
    const FloatPack g = load_pack(arenas.gradients, pack);
    FloatPack m = load_pack(arenas.first_moments, pack);
    FloatPack v = load_pack(arenas.second_moments, pack);
    for (int lane = 0; lane < kLanes; ++lane) {
      p.value[lane] =
          adam_update(p.value[lane], factor * g.value[lane], m.value[lane], v.value[lane], scalars, options);
    }
    store_pack(arenas.parameters, pack, p);
    store_pack(arenas.first_moments, pack, m);
    store_pack(arenas.second_moments, pack, v);
    store_copies(arenas.copies, pack, p);
    return;
  }
  for (std::int64_t i = begin; i < arenas.count; ++i) {  // the arena's last 1 to 3 parameters
    arenas.parameters[i] = adam_update(arenas.parameters[i], factor * arenas.gradients[i],
                                       arenas.first_moments[i], arenas.second_moments[i], scalars, options);
    if (arenas.copies) arenas.copies[i] = from_float<__nv_bfloat16>(arenas.parameters[i]);
  }
}

__global__ void __launch_bounds__(kMapThreads)
    sgd_step_kernel(SgdArenas arenas, SgdOptions options, const StepScalars* of_step) {
  const StepScalars scalars = *of_step;
  const std::int64_t pack = global_thread();
  const std::int64_t begin = pack * kLanes;
  if (begin >= arenas.count) return;
  const ParameterGroup group = group_at(arenas.groups, begin);
  if (group == ParameterGroup::orthogonalized) return;
  if (group == ParameterGroup::undecayed) options.weight_decay = 0.0f;
  const float factor = arenas.gradient_factor ? *arenas.gradient_factor : 1.0f;
  if (begin + kLanes <= arenas.count) {
    FloatPack p = load_pack(arenas.parameters, pack);
    const FloatPack g = load_pack(arenas.gradients, pack);
    FloatPack buffer = arenas.momentum ? load_pack(arenas.momentum, pack) : FloatPack{};
    for (int lane = 0; lane < kLanes; ++lane) {
      p.value[lane] = sgd_update(p.value[lane], factor * g.value[lane], buffer.value[lane], scalars, options);
    }
    store_pack(arenas.parameters, pack, p);
    if (arenas.momentum) store_pack(arenas.momentum, pack, buffer);
    store_copies(arenas.copies, pack, p);
    return;
  }
  for (std::int64_t i = begin; i < arenas.count; ++i) {
    float buffer = arenas.momentum ? arenas.momentum[i] : 0.0f;
    arenas.parameters[i] =
        sgd_update(arenas.parameters[i], factor * arenas.gradients[i], buffer, scalars, options);
    if (arenas.momentum) arenas.momentum[i] = buffer;
    if (arenas.copies) arenas.copies[i] = from_float<__nv_bfloat16>(arenas.parameters[i]);
  }
}

__global__ void __launch_bounds__(kMapThreads) average_add_kernel(AverageArenas arenas, float samples) {
  const auto update = [samples](std::int64_t, float mean, float value) {
    return averaged(mean, value, samples);
  };
  map_packs(arenas.means, arenas.count, update, arenas.means, arenas.parameters);
}

__global__ void __launch_bounds__(kMapThreads) average_store_kernel(AverageArenas arenas) {
  const auto same = [](std::int64_t, float mean) { return mean; };
  map_packs(arenas.parameters, arenas.count, same, arenas.means);
  if (arenas.copies) map_packs(arenas.copies, arenas.count, same, arenas.means);
}

void adam_step(const AdamArenas& arenas, const AdamOptions& options, const StepScalars* scalars,
               cudaStream_t stream) {
  if (arenas.count == 0) return;
  launch(adam_step_kernel, {.blocks = blocks_for(arenas.count, kMapThreads * kLanes), .threads = kMapThreads},
         stream, arenas, options, scalars);
}

void sgd_step(const SgdArenas& arenas, const SgdOptions& options, const StepScalars* scalars,
              cudaStream_t stream) {
  if (arenas.count == 0) return;
  launch(sgd_step_kernel, {.blocks = blocks_for(arenas.count, kMapThreads * kLanes), .threads = kMapThreads},
         stream, arenas, options, scalars);
}

void average_add(const AverageArenas& arenas, std::int64_t samples, cudaStream_t stream) {
  if (arenas.count == 0) return;
  launch(average_add_kernel, map_shape<float>(arenas.count), stream, arenas, static_cast<float>(samples));
}

void average_store(const AverageArenas& arenas, cudaStream_t stream) {
  if (arenas.count == 0) return;
  launch(average_store_kernel, map_shape<float>(arenas.count), stream, arenas);
}

}  // namespace convoy::kernels
