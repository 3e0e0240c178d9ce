// The machine's peak in fused multiply-adds, to which `convoy bench` compares a step.
#pragma once

#include <optional>
#include <string>

namespace convoy {

struct FmaPeak {
  double gflops = 0.0;  // two operations per fused multiply-add
  int threads = 1;
  std::string instructions;  // Highway's target and its width: "AVX3, 512-bit registers" (AVX-512)
};

/// Measured in the widest registers that the CPU has and oneDNN may use (ONEDNN_MAX_CPU_ISA), for some 0.05
/// s, on as many threads as OpenMP gives. Nothing in a build without the CPU backend.
std::optional<FmaPeak> measure_fma_peak();

}  // namespace convoy
