// What libconvoy_cuda.so exports; builds without CUDA link it instead, over stub.cpp.
#include "engine/backend/cuda/module.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/described/described.h"

extern "C" const convoy::CudaModule* convoy_cuda_module() {
  static constexpr convoy::CudaModule module = {CONVOY_MODULE_VERSION,     convoy::cuda_backend_missing,
                                                convoy::take_cuda_device,  convoy::make_cuda_backend,
                                                convoy::cuda_findings,     convoy::cuda_versions,
                                                convoy::measure_cuda_peak, convoy::make_described_backend};
  return &module;
}
