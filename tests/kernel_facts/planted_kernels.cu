// Kernels that compute the right values and are slow in ways that only their machine code shows.
#include "kernels/pack.h"

using namespace convoy::kernels;

// A literal without f makes the product a double.
__global__ void double_kernel(float* x) { x[global_thread()] *= 0.1; }

// An array that is indexed by a variable lives in local memory.
__global__ void local_kernel(float* sums, const unsigned* bins, unsigned count) {
  float of_bin[8] = {};
  for (unsigned i = 0; i < count; ++i) of_bin[bins[i] % 8] += 1.0f;
  for (unsigned bin = 0; bin < 8; ++bin) sums[8 * global_thread() + bin] = of_bin[bin];
}

// Lanes of a pack that is only referred to are loaded one by one.
__global__ void narrow_kernel(const float* x, float* y) {
  const auto& from = reinterpret_cast<const Pack<float>*>(x)[global_thread()];
  Pack<float> to;
  for (int lane = 0; lane < 4; ++lane) to.value[lane] = 2.0f * from.value[lane];
  reinterpret_cast<Pack<float>*>(y)[global_thread()] = to;
}

// As it should be.
__global__ void __launch_bounds__(kMapThreads) wide_kernel(const float* x, float* y, std::int64_t count) {
  map_packs(
      y, count, [](std::int64_t, float value) { return 2.0f * value; }, x);
}
