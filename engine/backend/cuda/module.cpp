// What libconvoy_cuda.so exports; builds without CUDA link it instead, over stub.cpp.
#include "engine/backend/cuda/module.h"

#include "engine/backend/cuda/cuda.h"

extern "C" const convoy::CudaModule* convoy_cuda_module() {
  static constexpr convoy::CudaModule module = {CONVOY_MODULE_VERSION, convoy::cuda_backend_missing,
                                                convoy::make_cuda_backend, convoy::cuda_findings};
  return &module;
}
