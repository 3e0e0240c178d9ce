// The registers that loops run in (vectorized.h). Their `bytes` are a parameter so that a test can try each
// width that the processor has.
#pragma once

namespace convoy::cpu {

/// Bytes of the widest ones of this processor: 64, 32 or 16. It has the narrower ones, too.
inline int widest_registers() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return 64;
  if (__builtin_cpu_supports("avx2")) return 32;
#endif
  return 16;
}

}  // namespace convoy::cpu
