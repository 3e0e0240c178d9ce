// The parameters' groups, where kernels find them.
#pragma once

#include <span>

#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/core/parameter_group.h"

namespace convoy::cuda {

class GroupTable {
 public:
  /// `groups` as of UpdateRule. Blocks on `stream` if there are any.
  GroupTable(const DeviceParameters& parameters, std::span<const ParameterGroup> groups, cudaStream_t stream);

  /// One for each kernels::kGroupElements of the arena; null without groups.
  const ParameterGroup* data() const { return memory_.as<const ParameterGroup>(); }

 private:
  Buffer memory_;
};

}  // namespace convoy::cuda
