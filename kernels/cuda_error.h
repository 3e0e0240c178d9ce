// Every CUDA call is checked: it is evaluated once, and its failure leaves as an exception with its cause.
#pragma once

#include <driver_types.h>

#include <source_location>
#include <string_view>

#include "convoy/error.h"

namespace convoy {

/// A CUDA runtime call failed: the message names the call, the library's own words, file and line.
class CudaError : public Error {
 public:
  CudaError(cudaError_t code, std::string_view call, std::source_location where);
  cudaError_t code() const { return code_; }

 private:
  cudaError_t code_;
};

/// Throws CudaError unless `code` is cudaSuccess.
inline void check_cuda(cudaError_t code, std::string_view call,
                       std::source_location where = std::source_location::current()) {
  if (code != cudaSuccess) throw CudaError(code, call, where);
}

}  // namespace convoy

/// Checks one call of the runtime: CONVOY_CUDA(cudaStreamSynchronize(stream)).
#define CONVOY_CUDA(call) ::convoy::check_cuda((call), #call)
