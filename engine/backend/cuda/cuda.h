// The CUDA backend: cuDNN graphs, cuBLAS GEMMs and the project's own kernels on one NVIDIA GPU.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/precision.h"

namespace convoy {

/// Compute capability, times 10: what CUDA 13 and Convoy compile for.
inline constexpr int kOldestCudaArchitecture = 75;

struct CudaOptions {
  Precision precision = Precision::fp32;
  bool deterministic = true;
  bool use_cuda_graphs = true;                  // record() captures CUDA graphs
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
