// What `convoy doctor` reports about CUDA, and the record of a run.
#pragma once

#include <string>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/versions.h"

namespace convoy {

/// A line of the report: a subject, its version or state, and advice if something is missing.
struct Finding {
  std::string subject;
  std::string state;
  std::string advice;
  Remedy remedy = Remedy::none;  // the setting that the advice ends with
};

/// Findings on CUDA's headers, runtime and driver, cuDNN, cuBLAS, every GPU, the kernels and the plan cache.
/// Does not throw if something is missing.
std::vector<Finding> cuda_findings();

/// Those of CUDA's runtime and driver, cuDNN and cuBLAS. Throws Error if CUDA does not say.
Versions cuda_versions();

}  // namespace convoy
