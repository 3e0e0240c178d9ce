// Builds without CUDA have nothing to load: the module is what stub.cpp says.
#include "engine/backend/cuda/module.h"

namespace convoy {

const CudaModule& cuda_module() { return *convoy_cuda_module(); }

CudaLibrary load_nccl() { return {"libnccl.so.2", "", "", "no CUDA in this build"}; }

const std::vector<CudaLibrary>& cuda_libraries() {
  static const std::vector<CudaLibrary> none;
  return none;
}

std::vector<std::string> cuda_library_places() { return {}; }

}  // namespace convoy
