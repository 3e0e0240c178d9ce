#include "engine/backend/cuda/cuda_backend.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/dnn/libraries.h"
#include "engine/backend/cuda/dnn/planner.h"
#include "engine/backend/cuda/runtime/event_mark.h"
#include "kernels/cuda_error.h"
#include "kernels/metrics.h"

namespace convoy {
namespace {

std::string architecture_problem() {
  const int sm = cuda::device_architecture();
  if (sm < kOldestCudaArchitecture) {
    return fmt::format("this GPU is sm_{}, Convoy and CUDA 13 need sm_{} (Turing) or newer", sm,
                       kOldestCudaArchitecture);
  }
  switch (const cudaError_t status = kernels::kernels_fit_this_gpu(); status) {
    case cudaSuccess:
      return {};
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
      return fmt::format(
          "this build has kernels for {}, this GPU is sm_{} ({}): configure with "
          "-DCMAKE_CUDA_ARCHITECTURES={} and build again",
          CONVOY_KERNEL_ARCHITECTURES, sm, cudaGetErrorString(status), sm);
    default:
      return fmt::format("CUDA does not start: {}", cudaGetErrorString(status));
  }
}

}  // namespace

namespace cuda {

CudaBackend::~CudaBackend() { cudaStreamSynchronize(context_.stream()); }

// What a user of PyTorch wants to know of it.
static std::string in_words(Precision precision) {
  if (precision == Precision::fp32) return "strict fp32";
  if (precision == Precision::bf16) return "bf16";
  return "tf32 (convolutions in TF32, linear layers in fp32, as PyTorch by default)";
}

std::string CudaBackend::description() const {
  int device = 0;
  int major = 0;
  int minor = 0;
  cudaDeviceProp properties{};
  CONVOY_CUDA(cudaGetDevice(&device));
  CONVOY_CUDA(cudaGetDeviceProperties(&properties, device));
  major = properties.major;
  minor = properties.minor;
  const std::size_t version = cudnnGetVersion();
  const std::string group = context_.in_group() ? ", " + context_.devices().description() : "";
  return fmt::format("{}, sm_{}{}, cuDNN {}.{}.{}, {}{}", properties.name, major, minor, version / 10000,
                     version / 100 % 100, version % 100, in_words(context_.precision()), group);
}

// What products are rounded to: of tf32 and bf16 it is the mantissa of their factors.
double CudaBackend::epsilon() const {
  switch (context_.precision()) {
    case Precision::tf32:
      return 0x1p-10;
    case Precision::bf16:
      return 0x1p-7;
    case Precision::fp32:
      break;
  }
  return 0x1p-23;
}

std::int64_t CudaBackend::steps_per_launch() const {
  return context_.options().use_cuda_graphs ? context_.options().steps_per_launch : 1;
}

std::unique_ptr<TimeMark> CudaBackend::mark() { return std::make_unique<EventMark>(context_.stream()); }

void CudaBackend::prepare() { context_.prepare(); }

void CudaBackend::synchronize() { wait_for(context_.stream()); }

MemoryUse CudaBackend::memory() const { return {allocated_bytes(), context_.workspace_bytes()}; }

std::vector<PlanRow> CudaBackend::plans() const { return context_.plans(); }

}  // namespace cuda

std::string cuda_backend_missing() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();  // not sticky
  if (status == cudaErrorInsufficientDriver) {
    return "no NVIDIA driver, or one older than this CUDA runtime: install a driver for CUDA 13 (580 or "
           "newer)";
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    return "the NVIDIA driver reports no GPU: see nvidia-smi and CUDA_VISIBLE_DEVICES";
  }
  if (status != cudaSuccess) return fmt::format("CUDA does not start: {}", cudaGetErrorString(status));
  if (const std::string problem = cuda::dnn::cudnn_problem(); !problem.empty()) return problem;
  try {
    return architecture_problem();
  } catch (const Error& error) {
    return error.what();
  }
}

void take_cuda_device(const GroupPlace& place) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();  // not sticky; cuda_backend_missing tells of it
  // A launcher may have left each process one GPU to see.
  if (status != cudaSuccess || count <= 1) return;
  if (place.local_rank >= count) {
    throw Error(fmt::format(
        "rank {} is process {} of its machine, which has {} GPUs: start as many processes as there "
        "are GPUs",
        place.rank, place.local_rank + 1, count));
  }
  CONVOY_CUDA(cudaSetDevice(place.local_rank));
}

std::unique_ptr<Backend> make_cuda_backend(const DeviceOptions& options) {
  const std::string missing = cuda_backend_missing();
  if (!missing.empty()) throw Error(missing);
  if (options.sync_batch_norm && options.group && options.group->size() > 1) {
    throw UsageError("cuda: batch norm over all processes is not built for GPUs: leave sync_batch_norm out");
  }
  return std::make_unique<cuda::CudaBackend>(options);
}

}  // namespace convoy
