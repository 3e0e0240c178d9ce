// What `convoy doctor` says about CUDA: doctor_cuda_none.cpp stands in where it is not built.
#pragma once

#include <string>
#include <vector>

namespace convoy {

/// A line of the report: what, which version or state, and advice where something is missing.
struct Finding {
  std::string subject;
  std::string state;
  std::string advice;
};

/// CUDA headers and runtime, driver, cuDNN, cuBLAS, and every GPU. Never throws for what is missing.
std::vector<Finding> cuda_findings();

}  // namespace convoy
