#include "engine/backend/cpu/simd.h"

#include <hwy/highway.h>
#include <oneapi/dnnl/dnnl.hpp>

namespace convoy::cpu {
namespace {

/// The targets that are left. The one that calls run on is set anew: Highway 1.0 forgets in SupportedTargets
/// that it was told to leave some out.
std::int64_t usable_targets() {
  const std::int64_t targets = hwy::SupportedTargets();
  hwy::GetChosenTarget().Update(targets);
  return targets & HWY_TARGETS;  // of those that were compiled
}

}  // namespace

void limit_simd_to_onednn() {
#if HWY_ARCH_X86
  // The lower a target's bit, the wider its registers.
  const auto allow_no_better_than = [](std::int64_t target) { hwy::DisableTargets(target - 1); };
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
    case dnnl::cpu_isa::avx:
      allow_no_better_than(HWY_SSE4);
      break;
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
      allow_no_better_than(HWY_AVX2);
      break;
    default:
      break;
  }
#endif
  usable_targets();
}

std::string simd_target() {
  const std::int64_t usable = usable_targets();
  return hwy::TargetName(usable & -usable);
}

}  // namespace convoy::cpu
