// What `convoy doctor` reports about CUDA. doctor_cuda_none.cpp is used in builds without CUDA.
#pragma once

#include <string>
#include <vector>

namespace convoy {

/// A line of the report: a subject, its version or state, and advice if something is missing.
struct Finding {
  std::string subject;
  std::string state;
  std::string advice;
};

/// Findings on CUDA's headers, runtime and driver, cuDNN, cuBLAS, every GPU, the kernels and the plan cache.
/// Does not throw if something is missing.
std::vector<Finding> cuda_findings();

}  // namespace convoy
