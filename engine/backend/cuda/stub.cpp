// Stands in for the CUDA backend where the toolkit or cuDNN was not found.
#include "convoy/error.h"
#include "engine/backend/cuda/cuda.h"

namespace convoy {

std::string cuda_backend_missing() { return "no CUDA in this build"; }

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions&) { throw Error(cuda_backend_missing()); }

}  // namespace convoy
