#include "engine/backend/cpu/group_ranges.h"

namespace convoy::cpu {

GroupRanges::GroupRanges(const CpuParameters& arena, std::span<const ParameterGroup> groups) {
  const std::span<float> all = arena.values();
  std::size_t i = 0;
  for (const Variable& variable : arena.variables()) {
    const ParameterGroup group = groups.empty() ? ParameterGroup::decayed : groups[i++];
    const std::int64_t begin = as_floats("optimizer", variable.value)->floats().data() - all.data();
    if (!ranges_.empty()) ranges_.back().end = begin;
    if (ranges_.empty() || ranges_.back().group != group) ranges_.push_back({begin, begin, group});
  }
  if (!ranges_.empty()) ranges_.back().end = std::ssize(all);
}

}  // namespace convoy::cpu
