// Stands in for the CUDA backend where the toolkit or cuDNN was not found.
#include "engine/backend/cuda/cuda.h"
#include "engine/core/error.h"

namespace convoy {

std::string cuda_backend_missing() { return "no CUDA in this build"; }

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions&) { throw Error(cuda_backend_missing()); }

}  // namespace convoy
