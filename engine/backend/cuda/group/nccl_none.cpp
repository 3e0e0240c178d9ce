// Stands in for nccl.cpp where nccl.h was not found.
#include "engine/backend/cuda/group/device_group.h"

namespace convoy::cuda {

std::unique_ptr<DeviceGroup> join_devices(Communicator&) {
  throw Error(
      "several processes on GPUs need NCCL, which is not in this build: install libnccl-dev and "
      "configure again");
}

}  // namespace convoy::cuda
