#include "engine/backend/cuda/step/group_table.h"

#include <algorithm>
#include <vector>

#include "kernels/optimizer.h"

namespace convoy::cuda {

GroupTable::GroupTable(const DeviceParameters& parameters, std::span<const ParameterGroup> groups,
                       cudaStream_t stream) {
  if (groups.empty()) return;
  constexpr std::int64_t kElements = kernels::kGroupElements;
  std::vector<ParameterGroup> table;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    table.resize(static_cast<std::size_t>(parameters.begin_of(i) / kElements), groups[i > 0 ? i - 1 : 0]);
  }
  table.resize(static_cast<std::size_t>(parameters.count() / kElements), groups.back());
  memory_ = Buffer(table.size() * sizeof(ParameterGroup));
  copy_to_device(memory_.data(), table.data(), table.size() * sizeof(ParameterGroup), stream);
}

}  // namespace convoy::cuda
