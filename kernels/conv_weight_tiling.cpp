#include "kernels/conv_weight_tiling.h"

#include <algorithm>

namespace convoy::kernels {
namespace {

std::int64_t divided_up(std::int64_t count, std::int64_t by) { return (count + by - 1) / by; }

// The share of the peak that a tile can reach, in percent: an estimate from the shared memory that its
// threads read for a multiplication. (A thread of `small` reads 8 floats for 16 products, of `tall` 12 for
// 32, of the others 16 for 64, and `large` loads the least from global memory.) A tile without packs spends
// as many instructions on addresses as on products.
std::int64_t efficiency(ConvWeightTileKind kind) {
  switch (kind) {
    case ConvWeightTileKind::small:
      return 45;
    case ConvWeightTileKind::tall:
      return 60;
    case ConvWeightTileKind::wide:
      return 75;
    case ConvWeightTileKind::large:
      return 85;
  }
  return 1;
}

// Without packs there are only the two narrow tiles: the odd shapes are first layers, whose columns are few.
bool exists(ConvWeightTileKind kind, bool packs) { return packs || kind <= ConvWeightTileKind::tall; }

/// What a tile computes, padding included, at its efficiency.
std::int64_t cost(ConvWeightTileKind kind, const ConvShape& shape) {
  const ConvWeightTile tile = tile_of(kind);
  const std::int64_t tiles =
      divided_up(shape.out_channels, tile.rows) * divided_up(shape.columns(), tile.columns);
  return tiles * tile.rows * tile.columns * 100 / efficiency(kind);
}

// Enough blocks for two on each multiprocessor of the largest GPUs; and where that leaves them much to do,
// four times as many, so that the last ones to run do not leave most of a GPU idle.
std::int64_t stages_of_a_slice(std::int64_t stages, std::int64_t tiles) {
  constexpr std::int64_t kBlocks = 256;
  constexpr std::int64_t kManyBlocks = 1024;
  constexpr std::int64_t kStages = 4;  // at least, or the partial sums cost more than the products
  constexpr std::int64_t kManyStages = 64;
  const auto shared_by = [&](std::int64_t blocks) {
    return divided_up(stages, std::max<std::int64_t>(1, blocks / tiles));
  };
  const std::int64_t wanted = std::min(shared_by(kBlocks), std::max(kManyStages, shared_by(kManyBlocks)));
  return std::clamp(wanted, std::min(kStages, stages), stages);
}

}  // namespace

bool conv_weight_fits(const ConvShape& s) {
  const ImageWindow& w = s.window;
  for (const Extents& e : {s.in, s.out, w.kernel, w.stride, w.padding, w.dilation}) {
    if (e.height > kMaxExtent || e.width > kMaxExtent) return false;
  }
  constexpr std::int64_t kLimit = 1 << 30;
  const auto product_fits = [](std::int64_t a, std::int64_t b) {
    return a < kLimit && b < kLimit && a * b < kLimit;
  };
  return product_fits(w.kernel.height, w.dilation.height) && product_fits(w.kernel.width, w.dilation.width) &&
         product_fits(s.images, s.out.count()) && product_fits(s.in.count(), s.in_channels) &&
         product_fits(w.kernel.count(), s.in_channels) && product_fits(s.columns(), s.out_channels);
}

ConvWeightTiling tile_conv_weight(const ConvShape& shape) {
  ConvWeightTiling t{.packs = shape.in_channels % 4 == 0 && shape.out_channels % 4 == 0};
  for (const auto kind : {ConvWeightTileKind::tall, ConvWeightTileKind::wide, ConvWeightTileKind::large}) {
    if (exists(kind, t.packs) && cost(kind, shape) < cost(t.kind, shape)) t.kind = kind;
  }
  const ConvWeightTile tile = tile_of(t.kind);
  t.row_tiles = divided_up(shape.out_channels, tile.rows);
  t.column_tiles = divided_up(shape.columns(), tile.columns);
  const std::int64_t stages = divided_up(shape.pixels(), tile.stage);
  const std::int64_t slice_stages = stages_of_a_slice(stages, t.row_tiles * t.column_tiles);
  t.slice_pixels = slice_stages * tile.stage;
  t.slices = static_cast<std::int32_t>(divided_up(stages, slice_stages));
  return t;
}

std::size_t conv_weight_workspace_bytes(const ConvShape& shape, const ConvWeightTiling& tiling) {
  if (tiling.slices == 1) return 0;
  return static_cast<std::size_t>(tiling.slices * shape.weights()) * sizeof(float);
}

ColumnTiling tile_conv_weight_sum(const ConvShape& shape, const ConvWeightTiling& tiling) {
  constexpr unsigned kMaxLanes = 32;  // leaves a tile as wide as a memory sector
  constexpr std::int32_t kSlicesALane = 4;
  unsigned lanes = 1;
  while (lanes < kMaxLanes && static_cast<std::int32_t>(2 * lanes) * kSlicesALane <= tiling.slices)
    lanes *= 2;
  ColumnTiling t{.rows = tiling.slices,
                 .channels = static_cast<std::int32_t>(shape.weights()),
                 .width = kColumnThreads / lanes,
                 .slab_rows = tiling.slices};
  t.tiles = static_cast<unsigned>(divided_up(shape.weights(), t.width));
  return t;
}

}  // namespace convoy::kernels
