#include "apps/convoy/doctor_cuda.h"
#include "engine/backend/cuda/cuda.h"

namespace convoy {

std::vector<Finding> cuda_findings() {
  const std::string state = "not in this build";
  return {{"CUDA", cuda_backend_missing(),
           "for an NVIDIA GPU install a CUDA 13 toolkit and libcudnn9-dev-cuda-13, and configure again with "
           "-DCONVOY_CUDA=ON"},
          {"CUDA headers", state, ""},
          {"CUDA runtime", state, ""},
          {"CUDA driver", state, ""},
          {"cuDNN", state, ""},
          {"cuBLAS", state, ""},
          {"GPUs", state, ""}};
}

}  // namespace convoy
