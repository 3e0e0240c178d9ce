// Kernel launches: nvcc's object files register every kernel by its mangled name, and the same name finds the
// twin that g++ compiled from the same source.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "tests/host_kernels/host_cuda/host_cuda.h"
#include "tests/software_gpu/cudart/call.h"
#include "tests/software_gpu/twins/twin.h"

using namespace software_gpu;

namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kMaxBlocksY = 65535;

std::map<const void*, std::string>& kernels() {
  static auto* kernels = new std::map<const void*, std::string>;
  return *kernels;
}

bool fits(const dim3& grid, const dim3& block, std::size_t shared_bytes) {
  const bool positive = grid.x && grid.y && grid.z && block.x && block.y && block.z;
  return positive && grid.x <= 0x7fffffff && grid.y <= kMaxBlocksY && grid.z <= kMaxBlocksY &&
         std::uint64_t{block.x} * block.y * block.z <= kMaxThreads && block.z <= 64 &&
         shared_bytes == 0;  // no kernel here asks for dynamic shared memory
}

std::string kernel_name(const void* function) {
  const auto found = kernels().find(function);
  return found == kernels().end() ? "?" : found->second;
}

// What SOFTWARE_GPU_KERNEL_MS=NAME:MILLISECONDS,... says of kernels with NAME in their mangled name.
double milliseconds_of(const std::string& kernel) {
  const char* text = std::getenv("SOFTWARE_GPU_KERNEL_MS");
  std::istringstream rules(text ? text : "");
  for (std::string rule; std::getline(rules, rule, ',');) {
    const std::size_t colon = rule.find(':');
    if (colon == std::string::npos || kernel.find(rule.substr(0, colon)) == std::string::npos) continue;
    return std::strtod(rule.c_str() + colon + 1, nullptr);
  }
  return 0.0;
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* function, void** arguments) {
  if (!kernels().contains(function)) return remember(cudaErrorInvalidDeviceFunction);
  if (!fits(config.gridDim, config.blockDim, config.dynamicSmemBytes) || config.numAttrs != 0) {
    return remember(cudaErrorInvalidConfiguration);
  }
  const std::string name = kernel_name(function);
  const host_cuda::LaunchShape shape{config.gridDim, config.blockDim};
  return enqueue(config.stream, {WorkKind::kernel,
                                 name,
                                 {},
                                 [thread = bind_twin(name, arguments), shape, name] {
                                   if (!host_cuda::run(thread, shape)) die(name + " was not run");
                                 },
                                 milliseconds_of(name)});
}

}  // namespace

extern "C" {

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  CUDART_CALL(kernel_name(function));
  return launch(*config, function, arguments);
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared_bytes, cudaStream_t stream) {
  CUDART_CALL(kernel_name(function));
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return launch(config, function, arguments);
}

// A build without code for this GPU is SOFTWARE_GPU_FAIL=cudaFuncGetAttributes:0:209.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  CUDART_CALL(kernel_name(function));
  if (!kernels().contains(function)) return remember(cudaErrorInvalidDeviceFunction);
  *attributes = {};
  attributes->maxThreadsPerBlock = kMaxThreads;
  return cudaSuccess;
}

// What nvcc's glue code calls at start-up and exit.
void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }

void __cudaRegisterFunction(void**, const char* host_function, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  kernels()[host_function] = name;
}

// <<<>>> is not used: launch.h is the one way to launch. These satisfy the linker.
unsigned __cudaPushCallConfiguration(dim3, dim3, std::size_t, CUstream_st*) {
  die("a kernel was launched with <<<>>>");
}
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) {
  die("a kernel was launched with <<<>>>");
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, std::size_t, cudaStream_t) {
  die("a kernel was launched with <<<>>>");
}

}  // extern "C"
