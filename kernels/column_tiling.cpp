#include "kernels/column_tiling.h"

#include <algorithm>

namespace convoy::kernels {

ColumnTiling tile_columns(std::int64_t rows, std::int32_t channels) {
  constexpr unsigned kMaxWidth = 32;
  constexpr std::int64_t kMaxBlocks = 512;   // a few for each multiprocessor
  constexpr std::int64_t kRowsAThread = 16;  // at least, before the rows are cut once more
  ColumnTiling t{.rows = rows, .channels = channels};
  while (t.width < kMaxWidth && static_cast<std::int32_t>(t.width) < channels) t.width *= 2;
  t.tiles = (static_cast<unsigned>(channels) + t.width - 1) / t.width;
  const std::int64_t slab = kRowsAThread * (kColumnThreads / t.width);
  const std::int64_t wanted = std::max<std::int64_t>(1, (rows + slab - 1) / slab);
  t.slabs =
      static_cast<unsigned>(std::min(wanted, std::max<std::int64_t>(1, kMaxBlocks / std::max(1u, t.tiles))));
  t.slab_rows = (rows + t.slabs - 1) / t.slabs;
  return t;
}

std::size_t column_partials_bytes(std::int64_t rows, std::int32_t channels) {
  return tile_columns(rows, channels).slabs * static_cast<std::size_t>(channels) * kColumnPartialBytes;
}

std::size_t column_counters(std::int64_t rows, std::int32_t channels) {
  return tile_columns(rows, channels).tiles;
}

}  // namespace convoy::kernels
