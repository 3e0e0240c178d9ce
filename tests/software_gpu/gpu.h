// What the stand-in libraries share: libcudart.so.13 keeps the device, and the stand-ins of cuBLAS and cuDNN
// enqueue their work on it. Everything here may be called by several threads.
#pragma once

#include <driver_types.h>

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace software_gpu {

/// Device memory that a piece of work reads or writes. `what` is for messages: "cublasLtMatmul A".
struct Access {
  const void* pointer = nullptr;
  std::size_t bytes = 0;
  std::string what;
};

enum class WorkKind { kernel, library, copy_to_device, copy_to_host, copy_on_device, memset };

/// Something that the device does later: when the host waits for it, and not before.
struct Work {
  WorkKind kind = WorkKind::kernel;
  std::string name;
  std::vector<Access> accesses;  // checked when it is enqueued, and again when it runs
  std::function<void()> run;
  double milliseconds = 0.0;  // that events say it took, besides what the host takes for it
};

/// Held by every call of a stand-in from beginning to end.
std::recursive_mutex& lock();

/// Notes the call in the trace. Returns 0, or the status with which SOFTWARE_GPU_FAIL wants it to fail.
int begin_call(const char* function, const std::string& detail = {});

/// Appends `work` to the stream, or to the graph that is captured from it.
cudaError_t enqueue(cudaStream_t stream, Work work);

/// Ends the program with a message unless each access lies within one live allocation.
void check_accesses(const std::vector<Access>& accesses);
bool is_device_address(const void* pointer);

/// Objects that must be destroyed by the end of the program: handles, descriptors, streams, graphs.
void track(const char* kind, const void* object);
/// False if it is not alive.
bool untrack(const char* kind, const void* object);
bool is_alive(const char* kind, const void* object);

/// The device's compute capability, times 10: 90, or what SOFTWARE_GPU_ARCHITECTURE says.
int architecture();

/// The number in an environment variable, or `otherwise` if it is not set. Ends the program if it is none.
long number_from(const char* variable, long otherwise);

/// Prints what a real GPU would suffer in silence, and ends the program.
[[noreturn]] void die(const std::string& what);

}  // namespace software_gpu
