// Stands in for the CUDA backend where the toolkit or cuDNN was not found.
#include "convoy/error.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/finding.h"

namespace convoy {

std::string cuda_backend_missing() { return "no CUDA in this build"; }

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions&) { throw Error(cuda_backend_missing()); }

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
