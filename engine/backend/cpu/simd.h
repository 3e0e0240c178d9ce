// Highway's targets: each loop (*_loops.cpp) is compiled for every instruction set, and a call runs the best
// one of those that this machine has and that were not ruled out here.
#pragma once

#include <string>

namespace convoy::cpu {

/// Rules out targets beyond what oneDNN may use, so that ONEDNN_MAX_CPU_ISA limits the whole backend.
void limit_simd_to_onednn();

/// The target that the loops run on, as Highway calls it: "AVX2", "AVX3" (AVX-512).
std::string simd_target();

}  // namespace convoy::cpu
