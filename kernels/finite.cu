#include "kernels/finite.h"

#include <cmath>

#include "kernels/launch.h"
#include "kernels/pack.h"

namespace convoy::kernels {

__global__ void reset_finite_report_kernel(FiniteReport* report) { *report = {kAllFinite, 0}; }

template <typename T>
__global__ void __launch_bounds__(kMapThreads) check_finite_kernel(FiniteCheck check) {
  constexpr int kLanes = map_lanes<T, T>();
  const T* values = static_cast<const T*>(check.values);
  const std::int64_t pack = global_thread();
  const std::int64_t begin = pack * kLanes;
  bool finite = true;
  if (begin + kLanes <= check.count) {
    const auto loaded = reinterpret_cast<const Pack<T>*>(values)[pack];
    for (int lane = 0; lane < kLanes; ++lane) finite = finite && std::isfinite(to_float(loaded.value[lane]));
  } else {
    for (std::int64_t i = begin; i < check.count; ++i) finite = finite && std::isfinite(to_float(values[i]));
  }
  if (finite) return;
  // One thread of one launch wins, and the stream orders the launches: so the first operation is named.
  if (atomicCAS(&check.report->operation, kAllFinite, check.operation) == kAllFinite) {
    check.report->step = *check.step;
  }
}

void reset_finite_report(FiniteReport* report, cudaStream_t stream) {
  launch(reset_finite_report_kernel, {}, stream, report);
}

void check_finite(const FiniteCheck& check, cudaStream_t stream) {
  if (check.count == 0) return;
  with_dtype(check.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(check_finite_kernel<T>, map_shape<T>(check.count), stream, check);
  });
}

}  // namespace convoy::kernels
