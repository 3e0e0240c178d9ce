/// @file
/// The devices that this build and this machine have, and the choice among them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "convoy/error.h"

namespace convoy {

/// A device with the libraries that compute on it. Models are compiled for one; what it can do is the
/// engine's business.
class Backend;

/// In which precision the CUDA backend computes.
enum class Precision {
  fp32,  ///< fp32 throughout, no TF32: cuDNN would round inputs unasked
  tf32,  ///< fp32 in memory, products on tensor cores with 10 bits of mantissa
  bf16,  ///< activations and their gradients in bf16, parameters and statistics in fp32
};

/// How the CUDA backend works.
struct CudaOptions {
  Precision precision = Precision::fp32;
  bool deterministic = true;
  bool use_cuda_graphs = true;                  ///< record() captures CUDA graphs
  std::int64_t steps_per_launch = 20;           ///< of the larger graph it captures
  bool autotune = false;                        ///< time the candidate plans and keep the fastest
  std::filesystem::path plan_cache;             ///< folder of finished plans; empty: none is kept
  /// Told, a line each, what did not go as planned, and what would help.
  std::function<void(const std::string& line, Remedy remedy)> say;
};

/// Where the program keeps plans: $CONVOY_CACHE, else $XDG_CACHE_HOME/convoy, else ~/.cache/convoy; empty if
/// CONVOY_CACHE is "none" or there is no home.
std::filesystem::path default_plan_cache();

/// One of the backends, and whether it can be used here.
struct BackendStatus {
  std::string name;  ///< "cuda", "cpu", "reference"
  bool usable = false;
  std::string detail;  ///< the device in words, or why not and what to do
};

/// Every backend, the preferred one first.
std::vector<BackendStatus> backend_statuses();

/// What a request led to.
struct BackendChoice {
  BackendChoice(std::unique_ptr<Backend> made, std::string why);
  BackendChoice(BackendChoice&& other) noexcept;
  BackendChoice& operator=(BackendChoice&& other) noexcept;
  ~BackendChoice();

  std::unique_ptr<Backend> backend;
  std::string reason;  ///< one line: "cpu: no CUDA in this build"
};

/// Makes the backend of that name (`cuda` is for that one alone); "auto" takes CUDA if there is a usable GPU,
/// else the CPU, else the reference. Throws UsageError for an unknown name, Error if the device cannot be
/// used.
BackendChoice make_backend(const std::string& name, const CudaOptions& cuda = {});

/// "cpu", "cuda" or "reference".
std::string name_of(const Backend& backend);

/// The device in words: "AMD EPYC, 2 threads, oneDNN 2.6.3".
std::string description_of(const Backend& backend);

}  // namespace convoy
