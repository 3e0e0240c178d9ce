// Stands in for the CUDA backend where the toolkit or cuDNN was not found.
#include "convoy/error.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/described/described.h"

namespace convoy {

std::string cuda_backend_missing() { return "no CUDA in this build"; }

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions&) { throw Error(cuda_backend_missing()); }

DevicePeak measure_cuda_peak(std::optional<Precision>) { throw Error(cuda_backend_missing()); }

std::unique_ptr<DescribedBackend> make_described_backend(const std::string& device, const CudaOptions&) {
  described_device(device);  // an unknown name is the better message
  throw Error("plans are cuDNN's, and there is no CUDA in this build");
}

}  // namespace convoy
