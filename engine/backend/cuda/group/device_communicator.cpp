#include "engine/backend/cuda/group/device_communicator.h"

namespace convoy::cuda {

void* DeviceCommunicator::room_for(std::size_t bytes) {
  if (room_.bytes() < bytes) room_ = Buffer(bytes);
  return room_.data();
}

template <typename T>
void DeviceCommunicator::sum_on_device(std::span<T> values) {
  if (values.empty()) return;
  auto* const device = static_cast<T*>(room_for(values.size_bytes()));
  copy_to_device(device, values.data(), values.size_bytes(), stream_);
  devices_.sum(device, std::ssize(values), stream_);
  copy_to_host(values.data(), device, values.size_bytes(), stream_);
}

template void DeviceCommunicator::sum_on_device<float>(std::span<float>);
template void DeviceCommunicator::sum_on_device<double>(std::span<double>);

void DeviceCommunicator::broadcast(std::span<std::byte> bytes) {
  if (bytes.empty()) return;
  void* const device = room_for(bytes.size());
  copy_to_device(device, bytes.data(), bytes.size(), stream_);
  devices_.broadcast(device, std::ssize(bytes), stream_);
  copy_to_host(bytes.data(), device, bytes.size(), stream_);
}

std::vector<double> DeviceCommunicator::gather(std::span<const double> values) {
  if (values.empty()) return {};
  const std::size_t ours = values.size_bytes(), all = ours * static_cast<std::size_t>(size());
  auto* const device = static_cast<std::byte*>(room_for(ours + all));
  copy_to_device(device, values.data(), ours, stream_);
  devices_.gather(device, device + ours, static_cast<std::int64_t>(ours), stream_);
  std::vector<double> result(values.size() * static_cast<std::size_t>(size()));
  copy_to_host(result.data(), device + ours, all, stream_);
  return leads() ? result : std::vector<double>();
}

void DeviceCommunicator::barrier() {
  double nothing = 0.0;
  sum(std::span<double>(&nothing, 1));
}

}  // namespace convoy::cuda
