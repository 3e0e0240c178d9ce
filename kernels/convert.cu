#include "kernels/convert.h"

#include "kernels/launch.h"
#include "kernels/pack.h"

namespace convoy::kernels {

template <typename In, typename Out>
__global__ void __launch_bounds__(kMapThreads) cast_kernel(const In* in, Out* out, std::int64_t count) {
  map_packs(
      out, count, [](std::int64_t, float value) { return value; }, in);
}

void cast(const __nv_bfloat16* in, float* out, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  launch(cast_kernel<__nv_bfloat16, float>, map_shape<__nv_bfloat16, float>(count), stream, in, out, count);
}

}  // namespace convoy::kernels
