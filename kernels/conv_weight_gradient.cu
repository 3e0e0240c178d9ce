#include "kernels/conv_weight_gradient.h"

#include <type_traits>

#include "kernels/columns.h"
#include "kernels/conv_weight_parts.h"
#include "kernels/launch.h"

namespace convoy::kernels {

constexpr unsigned kBlocksAtOnce = 2;  // on a multiprocessor: leaves 128 registers a thread

struct SmallTile : WarpTiles<ConvWeightTileKind::small, 1, 1, 1, 1> {};
struct TallTile : WarpTiles<ConvWeightTileKind::tall, 2, 1, 2, 1> {};
struct WideTile : WarpTiles<ConvWeightTileKind::wide, 2, 2, 1, 1> {};
struct LargeTile : WarpTiles<ConvWeightTileKind::large, 2, 2, 2, 2> {};

/// blockIdx.x is the tile, blockIdx.y the slice of the pixels. While a stage is multiplied, the next one is
/// loaded; one barrier a stage parts the two buffers of shared memory.
template <typename T, typename Tile, bool kPacks>
__global__ void __launch_bounds__(kConvWeightThreads, kBlocksAtOnce)
    conv_weight_products_kernel(ConvShape shape, ConvWeightTiling tiling, ConvWeightGradient t) {
  constexpr int kStage = Tile::kStage;
  constexpr int kDyQuads = kStage * Tile::kRows / 4;
  constexpr int kXQuads = kStage * Tile::kColumns / 4;
  static_assert(Sums<Tile>::kReductionQuads <= 2 * (kDyQuads + kXQuads));
  SHARED_ARRAY(Quad, staged, 2 * (kDyQuads + kXQuads));
  SHARED_ARRAY(WindowStart, starts, 2 * kStage);

  const auto column_tiles = static_cast<unsigned>(tiling.column_tiles);
  const std::int32_t first_row = static_cast<std::int32_t>(blockIdx.x / column_tiles) * Tile::kRows;
  const std::int64_t first_column = std::int64_t{blockIdx.x % column_tiles} * Tile::kColumns;
  const auto begin = static_cast<std::uint32_t>(blockIdx.y * tiling.slice_pixels);
  const auto pixels = static_cast<std::uint32_t>(shape.pixels());
  const auto slice_pixels = static_cast<std::uint32_t>(tiling.slice_pixels);
  const std::uint32_t end = slice_pixels < pixels - begin ? begin + slice_pixels : pixels;
  const auto stages = static_cast<int>((end - begin + kStage - 1) / kStage);

  DyShare<T, Tile, kPacks> dy(shape, static_cast<const T*>(t.dy), first_row);
  XShare<T, Tile, kPacks> x(shape, static_cast<const T*>(t.x), first_column);
  Sums<Tile> sums;
  const auto find_starts = [&](int stage) {
    if (threadIdx.x >= kStage) return;
    const std::uint32_t pixel = begin + static_cast<std::uint32_t>(stage) * kStage + threadIdx.x;
    starts[stage % 2 * kStage + threadIdx.x] = window_start(shape, pixel, end);
  };
  const auto load = [&](int stage) {
    dy.load(begin + static_cast<std::uint32_t>(stage) * kStage, end);
    x.load(&starts[stage % 2 * kStage]);
  };
  const auto buffer = [&](int stage) { return &staged[stage % 2 * (kDyQuads + kXQuads)]; };
  const auto store = [&](int stage) {
    dy.store(buffer(stage));
    x.store(buffer(stage) + kDyQuads);
  };

  find_starts(0);
  __syncthreads();
  load(0);
  store(0);
  find_starts(1);
  __syncthreads();
  for (int stage = 0; stage < stages; ++stage) {
    const bool more = stage + 1 < stages;
    if (more) load(stage + 1);
    sums.multiply(buffer(stage), buffer(stage) + kDyQuads);
    if (more) {
      store(stage + 1);
      find_starts(stage + 2);
    }
    __syncthreads();
  }
  sums.reduce_teams(&staged[0]);
  if (sums.team > 0) return;
  const auto write = [&](auto* to) {
    sums.template write<kPacks>(to, shape.out_channels, shape.columns(), first_row, first_column);
  };
  float* const partial = static_cast<float*>(t.workspace) + blockIdx.y * shape.weights();
  if constexpr (std::is_same_v<T, float>) {
    write(tiling.slices > 1 ? partial : static_cast<float*>(t.dweight));
  } else {
    tiling.slices > 1 ? write(partial) : write(static_cast<T*>(t.dweight));
  }
}

/// dweight = the sums of the columns of `partials`, [tiling.rows, tiling.channels].
template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    conv_weight_sum_kernel(ColumnTiling tiling, const float* partials, T* dweight) {
  const ColumnPlace place(tiling);
  float sum = 0.0f;
  for_each_row(tiling, place, [&](std::int64_t at) { sum += partials[at]; });
  sum = reduce_lanes(tiling, place, sum, Sum());
  if (place.active && place.lane == 0) dweight[place.channel] = from_float<T>(sum);
}

/// Calls `body` with a zero of the type that has the tile's constants.
template <typename Body>
void with_tile(ConvWeightTileKind kind, bool packs, Body body) {
  const auto narrow = [&](auto tile) {
    packs ? body(tile, std::true_type{}) : body(tile, std::false_type{});
  };
  switch (kind) {
    case ConvWeightTileKind::small:
      return narrow(SmallTile{});
    case ConvWeightTileKind::tall:
      return narrow(TallTile{});
    case ConvWeightTileKind::wide:
      return body(WideTile{}, std::true_type{});
    case ConvWeightTileKind::large:
      return body(LargeTile{}, std::true_type{});
  }
}

void conv_weight_gradient(const ConvShape& shape, const ConvWeightTiling& tiling,
                          const ConvWeightGradient& tensors, cudaStream_t stream) {
  with_dtype(tensors.dtype, [&](auto zero) {
    using T = decltype(zero);
    with_tile(tiling.kind, tiling.packs, [&](auto tile, auto packs) {
      launch(conv_weight_products_kernel<T, decltype(tile), decltype(packs)::value>,
             {.blocks = blocks_for(tiling.row_tiles * tiling.column_tiles, 1),
              .threads = kConvWeightThreads,
              .rows_of_blocks = static_cast<unsigned>(tiling.slices)},
             stream, shape, tiling, tensors);
    });
    if (tiling.slices == 1) return;
    const ColumnTiling sum = tile_conv_weight_sum(shape, tiling);
    launch(conv_weight_sum_kernel<T>, {.blocks = sum.tiles, .threads = kColumnThreads}, stream, sum,
           static_cast<const float*>(tensors.workspace), static_cast<T*>(tensors.dweight));
  });
}

}  // namespace convoy::kernels
