// The GPUs of a group, which exchange what lies in their memory without the host.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "engine/parallel/communicator.h"

namespace convoy::cuda {

class DeviceGroup {
 public:
  virtual ~DeviceGroup() = default;

  /// "NCCL 2.28.9".
  virtual std::string description() const = 0;

  // They enqueue, on memory of the device; every process must enqueue the same in the same order. Throw
  // Error.
  /// The sum over all processes, in place.
  virtual void sum(float* values, std::int64_t count, cudaStream_t stream) = 0;
  virtual void sum(double* values, std::int64_t count, cudaStream_t stream) = 0;
  /// Rank 0's bytes for all.
  virtual void broadcast(void* bytes, std::int64_t count, cudaStream_t stream) = 0;
  /// The bytes of all, in the order of ranks.
  virtual void gather(const void* bytes, void* all, std::int64_t count, cudaStream_t stream) = 0;

  /// To be called while the host waits for the device, which has taken so long, and when it has waited.
  /// Throws Error if another process has failed or does not come; then nothing that was enqueued waits any
  /// longer.
  virtual void check(std::chrono::steady_clock::duration waited) = 0;
};

/// Connects the current device with those of `group`, whose processes must all call it. `group` must outlive
/// the result. Throws Error if NCCL is not in this build, cannot be loaded, or does not connect.
std::unique_ptr<DeviceGroup> join_devices(Communicator& group);

}  // namespace convoy::cuda
