#include "engine/backend/cpu/simd.h"

#include <hwy/highway.h>
#include <oneapi/dnnl/dnnl.hpp>

namespace convoy::cpu {

void limit_simd_to_onednn() {
#if HWY_ARCH_X86
  // The lower a target's bit, the wider its registers.
  const auto allow_no_better_than = [](std::int64_t target) { hwy::DisableTargets(target - 1); };
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
    case dnnl::cpu_isa::avx:
      return allow_no_better_than(HWY_SSE4);
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
      return allow_no_better_than(HWY_AVX2);
    default:
      return;
  }
#endif
}

std::string simd_target() {
  // Of those that were compiled: a library of Highway's may know better ones.
  const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(usable & -usable);
}

}  // namespace convoy::cpu
