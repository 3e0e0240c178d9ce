// What is said of processes that are waited for in vain.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/parallel/communicator.h"

namespace convoy {

/// `what` is where this process waited, "a sum"; `silent` as Communicator::silent has it.
inline std::string absence(const char* what, const GroupPlace& place, const std::vector<int>& silent) {
  const std::string waited = fmt::format("waited {} s in {} for ", place.patience.count(), what);
  if (silent.empty()) return waited + "the others, who are all there: they did not make the same calls";
  return waited + fmt::format(
                      "rank{} {} of {}, which did not come: see its output, or raise "
                      "CONVOY_GROUP_TIMEOUT (seconds)",
                      silent.size() == 1 ? "" : "s", fmt::join(silent, ", "), place.size);
}

}  // namespace convoy
