#include "kernels/cuda_error.h"

#include <cuda_runtime_api.h>

#include <string>

namespace convoy {
namespace {

std::string describe(cudaError_t code, std::string_view call, const std::source_location& where) {
  return std::string(call) + " failed: " + cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ", " +
         where.file_name() + ":" + std::to_string(where.line()) + ")";
}

}  // namespace

CudaError::CudaError(cudaError_t code, std::string_view call, std::source_location where)
    : Error(describe(code, call, where)), code_(code) {}

}  // namespace convoy
