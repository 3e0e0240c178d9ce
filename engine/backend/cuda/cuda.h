// The CUDA backend: cuDNN graphs, cuBLAS GEMMs and the project's own kernels on one NVIDIA GPU.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "engine/backend/backend.h"

namespace convoy {

/// Compute capability, times 10: what CUDA 13 and Convoy compile for.
inline constexpr int kOldestCudaArchitecture = 75;

enum class CudaPrecision {
  fp32,  // fp32 throughout, no TF32
  tf32,  // fp32 in memory, products on tensor cores with 10 bits of mantissa
  bf16,  // activations and their gradients in bf16, parameters and statistics in fp32
};

struct CudaOptions {
  CudaPrecision precision = CudaPrecision::fp32;
  bool deterministic = true;
  bool use_graphs = true;                       // record() captures CUDA graphs
  std::int64_t steps_per_launch = 20;           // of the larger graph it captures
  bool autotune = false;                        // time the candidate plans and keep the fastest
  std::filesystem::path plan_cache;             // folder of finished plans; empty: none is kept
  std::function<void(const std::string&)> say;  // told, a line each, what did not go as planned
};

/// Where the program keeps plans: $CONVOY_CACHE, else $XDG_CACHE_HOME/convoy, else ~/.cache/convoy; empty if
/// CONVOY_CACHE is "none" or there is no home.
std::filesystem::path default_plan_cache();

/// Empty if this build has CUDA and this machine a GPU that it can use, else why not and what to do.
std::string cuda_backend_missing();

/// Throws Error if there is none (with the text above), or if that GPU does not know the precision.
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options);

}  // namespace convoy
