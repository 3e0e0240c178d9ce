// The machine's peak in fused multiply-adds, to which `convoy bench` compares a step.
#pragma once

#include <string>

namespace convoy {

struct FmaPeak {
  double gflops = 0.0;  // two operations per fused multiply-add
  int threads = 1;
  std::string instructions;  // "AVX-512", "AVX2", ...
};

/// Measures every vector width that the CPU has and takes the fastest, for about 0.1 s in all. Uses as many
/// threads as OpenMP gives.
FmaPeak measure_fma_peak();

}  // namespace convoy
