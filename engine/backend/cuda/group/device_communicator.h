// What processes say to each other where only their GPUs are connected: through the memory of the device.
#pragma once

#include "engine/backend/cuda/group/device_group.h"
#include "engine/backend/cuda/runtime/memory.h"

namespace convoy::cuda {

class DeviceCommunicator final : public Communicator {
 public:
  /// The device's work so far is waited for in every call.
  DeviceCommunicator(const GroupPlace& place, DeviceGroup& devices, cudaStream_t stream)
      : Communicator(place), devices_(devices), stream_(stream) {}

  std::string description() const override { return devices_.description(); }
  void sum(std::span<float> values) override { sum_on_device(values); }
  void sum(std::span<double> values) override { sum_on_device(values); }
  void broadcast(std::span<std::byte> bytes) override;
  std::vector<double> gather(std::span<const double> values) override;
  void barrier() override;
  void leave() override { barrier(); }
  [[noreturn]] void abort(int code) override { std::_Exit(code); }  // NCCL and the launcher see it

 private:
  template <typename T>
  void sum_on_device(std::span<T> values);
  /// Memory for that many bytes, of an earlier call if that suffices.
  void* room_for(std::size_t bytes);

  DeviceGroup& devices_;
  cudaStream_t stream_;
  Buffer room_;
};

}  // namespace convoy::cuda
