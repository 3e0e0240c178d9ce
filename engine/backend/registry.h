// Which backends this build has, and whether this machine can run them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/cuda.h"

namespace convoy {

struct BackendStatus {
  std::string name;  // "cuda", "cpu", "reference"
  bool usable = false;
  std::string detail;  // the device in words, or why not and what to do
};

/// Every backend, the preferred one first.
std::vector<BackendStatus> backend_statuses();

/// What a request led to.
struct BackendChoice {
  std::unique_ptr<Backend> backend;
  std::string reason;  // one line: "cpu: no CUDA in this build"
};

/// Makes the backend of that name (`cuda` is for that one alone); "auto" takes CUDA if there is a usable GPU,
/// else the CPU, else the reference. Throws UsageError for an unknown name, Error if the device cannot be
/// used.
BackendChoice make_backend(const std::string& name, const CudaOptions& cuda = {});

}  // namespace convoy
