#include "convoy/host_tensor.h"

#include <algorithm>

namespace convoy {

const HostTensor* find(const StateDict& state, const std::string& name) {
  const auto entry = std::ranges::find(state, name, &StateDict::value_type::first);
  return entry == state.end() ? nullptr : &entry->second;
}

}  // namespace convoy
