// How the threads and blocks of a launch share a sum over the rows of a [rows, channels] tensor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convoy::kernels {

constexpr unsigned kColumnThreads = 256;

/// A block covers `width` channels, a power of two, with 256 / width threads for each; `slabs` blocks share
/// the rows of a channel. Few channels make a narrow tile, so that neighbouring threads read neighbouring
/// memory.
struct ColumnTiling {
  std::int64_t rows = 0;
  std::int32_t channels = 0;
  unsigned width = 1;
  unsigned tiles = 0;
  unsigned slabs = 1;
  std::int64_t slab_rows = 0;
};

ColumnTiling tile_columns(std::int64_t rows, std::int32_t channels);

constexpr std::size_t kColumnPartialBytes = 12;  // of one channel in one slab, at most

/// What such a sum needs besides its tensors, in device memory; launches on one stream may share it.
struct ColumnScratch {
  void* partials = nullptr;     // column_partials_bytes, 16-byte aligned; keeps nothing between launches
  unsigned* arrived = nullptr;  // column_counters words: zero before the first launch, left at zero by each
};

std::size_t column_partials_bytes(std::int64_t rows, std::int32_t channels);
std::size_t column_counters(std::int64_t rows, std::int32_t channels);

}  // namespace convoy::kernels
