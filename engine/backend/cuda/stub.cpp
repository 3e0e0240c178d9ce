// Stands in for the CUDA backend where the toolkit or cuDNN was not found.
#include "convoy/error.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/described/described.h"
#include "engine/backend/cuda/finding.h"

namespace convoy {

std::string cuda_backend_missing() { return "no CUDA in this build"; }

void take_cuda_device(const GroupPlace&) {}

std::unique_ptr<Backend> make_cuda_backend(const DeviceOptions&) { throw Error(cuda_backend_missing()); }

DevicePeak measure_cuda_peak(std::optional<Precision>) { throw Error(cuda_backend_missing()); }

std::unique_ptr<DescribedBackend> make_described_backend(const std::string& device, const DeviceOptions&) {
  described_device(device);  // an unknown name is the better message
  throw Error("plans are cuDNN's, and there is no CUDA in this build");
}

Versions cuda_versions() { throw Error(cuda_backend_missing()); }

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
