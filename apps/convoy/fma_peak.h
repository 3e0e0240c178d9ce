// How fast this machine could multiply and add at best: the yardstick of `convoy bench`.
#pragma once

#include <string>

namespace convoy {

struct FmaPeak {
  double gflops = 0.0;  // two for a fused multiply-add
  int threads = 1;
  std::string instructions;  // "AVX-512", "AVX2", ...
};

/// Measures for about 0.1 s with the widest vectors that pay, on as many threads as OpenMP gives.
FmaPeak measure_fma_peak();

}  // namespace convoy
