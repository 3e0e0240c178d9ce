// The scratch of a reduction over columns, as a caller has it.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/column_tiling.h"

namespace convoy::kernels {

struct Scratch {
  Scratch(std::int64_t rows, std::int32_t channels)
      : partials(column_partials_bytes(rows, channels)), arrived(column_counters(rows, channels)) {}
  ColumnScratch on_device() { return {partials.data(), arrived.data()}; }
  std::vector<std::byte> partials;
  std::vector<unsigned> arrived;
};

}  // namespace convoy::kernels
