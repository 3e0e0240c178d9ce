// The arena of parameters in runs of one group, so that each loop over a part of it has one group.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/cpu/tensor.h"
#include "engine/core/parameter_group.h"

namespace convoy::cpu {

class GroupRanges {
 public:
  /// `groups` as of UpdateRule.
  GroupRanges(const CpuParameters& arena, std::span<const ParameterGroup> groups);

  /// Calls body(begin, end, group) for the runs within begin .. end, in ascending order.
  template <typename Body>
  void for_each(std::int64_t begin, std::int64_t end, Body body) const {
    for (const Range& range : ranges_) {
      const std::int64_t from = std::max(begin, range.begin), to = std::min(end, range.end);
      if (from < to) body(from, to, range.group);
    }
  }

 private:
  struct Range {
    std::int64_t begin, end;
    ParameterGroup group;
  };
  std::vector<Range> ranges_;  // with the gaps behind their parameters
};

}  // namespace convoy::cpu
