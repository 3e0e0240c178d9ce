// cudaMalloc, cudaMallocHost, cudaMemset, cudaMemcpy.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

#include "tests/software_gpu/cudart/call.h"
#include "tests/software_gpu/cudart/memory.h"

namespace software_gpu {
namespace {

cudaError_t enqueue_copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                         cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  const bool to_device = is_device_address(to);
  const bool from_device = is_device_address(from);
  const bool wants_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool wants_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && (to_device != wants_to || from_device != wants_from)) {
    return remember(cudaErrorInvalidValue);
  }
  Work work{to_device ? (from_device ? WorkKind::copy_on_device : WorkKind::copy_to_device)
                      : WorkKind::copy_to_host,
            "cudaMemcpy",
            {},
            [=] { std::memmove(to, from, bytes); }};
  if (to_device) work.accesses.push_back({to, bytes, "cudaMemcpy's destination"});
  if (from_device) work.accesses.push_back({from, bytes, "cudaMemcpy's source"});
  return enqueue(stream, std::move(work));
}

cudaError_t enqueue_memset(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  return enqueue(stream, {WorkKind::memset, "cudaMemset", {{memory, bytes, "cudaMemset"}}, [=] {
                            std::memset(memory, value, bytes);
                          }});
}

std::string name_of(cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToDevice:
      return "to_device";
    case cudaMemcpyDeviceToHost:
      return "to_host";
    case cudaMemcpyDeviceToDevice:
      return "on_device";
    default:
      return "default";
  }
}

}  // namespace
}  // namespace software_gpu

using namespace software_gpu;

extern "C" {

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  CUDART_CALL();
  if (is_capturing()) return refuse_in_capture();
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  *pointer = DeviceMemory::instance().allocate(bytes);
  return *pointer ? cudaSuccess : remember(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* pointer) {
  CUDART_DESTROY_CALL();
  if (!pointer) return call_status;
  if (is_capturing()) return refuse_in_capture();
  drain_all();
  if (!DeviceMemory::instance().free(pointer)) return remember(cudaErrorInvalidValue);
  return remember(call_status);
}

// Page-locked memory of the host. It is full of NaN, too.
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  CUDART_CALL();
  if (is_capturing()) return refuse_in_capture();
  *pointer = std::malloc(bytes);
  if (!*pointer) return remember(cudaErrorMemoryAllocation);
  std::memset(*pointer, 0xFF, bytes);
  track("page-locked blocks", *pointer);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  CUDART_DESTROY_CALL();
  if (!pointer) return call_status;
  if (is_capturing()) return refuse_in_capture();
  drain_all();
  if (!untrack("page-locked blocks", pointer)) return remember(cudaErrorInvalidValue);
  std::free(pointer);
  return remember(call_status);
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  CUDART_CALL();
  *total = DeviceMemory::kTotal;
  *free = DeviceMemory::kTotal - DeviceMemory::instance().used();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  CUDART_CALL(name_of(kind));
  return enqueue_copy(to, from, bytes, kind, stream);
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  CUDART_CALL(name_of(kind));
  if (is_capturing()) return refuse_in_capture(cudaErrorStreamCaptureImplicit);
  const cudaError_t status = enqueue_copy(to, from, bytes, kind, nullptr);
  drain(*find_stream(nullptr));
  return status;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  CUDART_CALL();
  return enqueue_memset(memory, value, bytes, stream);
}

// Of device memory it returns before it is done.
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  CUDART_CALL();
  return enqueue_memset(memory, value, bytes, nullptr);
}

}  // extern "C"
