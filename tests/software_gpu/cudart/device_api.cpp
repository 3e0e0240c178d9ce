// The one device, and errors.
#include <cuda_runtime_api.h>

#include <cstring>

#include "tests/software_gpu/cudart/call.h"
#include "tests/software_gpu/cudart/memory.h"

using namespace software_gpu;

namespace {

constexpr int kMultiprocessors = 4;
constexpr int kCudaVersion = 13000;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};

constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
};

const ErrorText& find(cudaError_t error) {
  static constexpr ErrorText kUnknown = {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"};
  for (const ErrorText& known : kErrors) {
    if (known.error == error) return known;
  }
  return kUnknown;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  CUDART_CALL();
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  CUDART_CALL();
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  CUDART_CALL();
  return device == 0 ? cudaSuccess : remember(cudaErrorInvalidDevice);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  CUDART_CALL();
  if (device != 0) return remember(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = architecture() / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = architecture() % 10;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = kMultiprocessors;
      return cudaSuccess;
    default:
      die("cudaDeviceGetAttribute: attribute " + std::to_string(attribute) + " is not simulated");
  }
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  CUDART_CALL();
  if (device != 0) return remember(cudaErrorInvalidDevice);
  *properties = {};
  std::strncpy(properties->name, "software GPU (tests only)", sizeof properties->name - 1);
  properties->major = architecture() / 10;
  properties->minor = architecture() % 10;
  properties->multiProcessorCount = kMultiprocessors;
  properties->totalGlobalMem = DeviceMemory::kTotal;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  CUDART_CALL();
  *version = kCudaVersion;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  CUDART_CALL();
  *version = kCudaVersion;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const std::lock_guard guard(lock());
  return last_error(/*clear=*/true);
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard guard(lock());
  return last_error(/*clear=*/false);
}

const char* cudaGetErrorString(cudaError_t error) { return find(error).text; }
const char* cudaGetErrorName(cudaError_t error) { return find(error).name; }

}  // extern "C"
