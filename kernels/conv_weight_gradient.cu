#include "kernels/conv_weight_gradient.h"

#include <type_traits>

#include "kernels/columns.h"
#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/unroll.h"

namespace convoy::kernels {

// A product of matrices: dy^T [out_channels, pixels] times the windows of x [pixels, columns]. A block stages
// some pixels of both in shared memory, x gathered as it goes there; each warp multiplies a part of the
// staged pixels into sums in registers.
using Quad = Pack<float, 4>;

constexpr int kLanesDown = 4;  // of a warp, over the rows of its tile; the other 8 lie side by side
constexpr int kLanesAcross = 8;
constexpr int kWarps = static_cast<int>(kConvWeightThreads / kWarpLanes);
constexpr unsigned kBlocksAtOnce = 2;  // on a multiprocessor: leaves 128 registers a thread

/// A thread sums `row_quads` x `column_quads` squares of 4 x 4; `warp_rows` x `warp_columns` warps cover the
/// tile, and as many such teams as there are share a stage's pixels.
template <ConvWeightTileKind kKind, int kRowQuadsOf, int kColumnQuadsOf, int kWarpRowsOf, int kWarpColumnsOf>
struct WarpTiles {
  static constexpr int kRowQuads = kRowQuadsOf;
  static constexpr int kColumnQuads = kColumnQuadsOf;
  static constexpr int kWarpRows = kWarpRowsOf;
  static constexpr int kWarpColumns = kWarpColumnsOf;
  static constexpr int kTeamWarps = kWarpRows * kWarpColumns;
  static constexpr int kTeams = kWarps / kTeamWarps;
  static constexpr int kRows = tile_of(kKind).rows;
  static constexpr int kColumns = tile_of(kKind).columns;
  static constexpr int kStage = tile_of(kKind).stage;
  static_assert(kRows == 4 * kRowQuads * kLanesDown * kWarpRows);
  static_assert(kColumns == 4 * kColumnQuads * kLanesAcross * kWarpColumns);
  static_assert(kStage % kTeams == 0);
};

struct SmallTile : WarpTiles<ConvWeightTileKind::small, 1, 1, 1, 1> {};
struct TallTile : WarpTiles<ConvWeightTileKind::tall, 2, 1, 2, 1> {};
struct WideTile : WarpTiles<ConvWeightTileKind::wide, 2, 2, 1, 1> {};
struct LargeTile : WarpTiles<ConvWeightTileKind::large, 2, 2, 2, 2> {};

/// Where the window of an output pixel begins in x.
struct alignas(16) WindowStart {
  std::int64_t offset;  // of its first tap's channel 0; may lie outside of x
  std::int32_t row;
  std::int32_t column;
};

// A row that no image has, whatever is added to it.
constexpr std::int32_t kNowhere = 2 * kMaxExtent;

__device__ inline WindowStart window_start(const ConvShape& s, std::uint32_t pixel, std::uint32_t end) {
  if (pixel >= end) return {0, kNowhere, 0};
  const auto width = static_cast<std::uint32_t>(s.out.width);
  const std::uint32_t line = pixel / width;  // of all images
  const std::uint32_t image = line / static_cast<std::uint32_t>(s.out.height);
  const auto out_row = static_cast<std::int32_t>(line - image * static_cast<std::uint32_t>(s.out.height));
  const auto out_column = static_cast<std::int32_t>(pixel - line * width);
  const std::int32_t row = out_row * s.window.stride.height - s.window.padding.height;
  const std::int32_t column = out_column * s.window.stride.width - s.window.padding.width;
  const std::int64_t in_line = std::int64_t{image} * s.in.height + row;
  return {(in_line * s.in.width + column) * s.in_channels, row, column};
}

/// How a block's threads share a stage of kPixels x kWidth floats: each loads the same place of several
/// pixels.
template <int kPixels, int kWidth, bool kPacks>
struct StageShare {
  using Element = std::conditional_t<kPacks, Quad, float>;
  static constexpr int kLanes = kPacks ? 4 : 1;
  static constexpr int kAcross = kWidth / kLanes;
  static constexpr int kDown = static_cast<int>(kConvWeightThreads) / kAcross;
  static constexpr int kCount = kPixels / kDown;
  static_assert(kCount * kDown == kPixels);

  Element value[kCount];  // on the way from global to shared memory

  __device__ static int place() { return static_cast<int>(threadIdx.x) % kAcross; }
  __device__ static int pixel(int i) { return static_cast<int>(threadIdx.x) / kAcross + i * kDown; }
  __device__ void store(Quad* stage) const {
    Element* to = reinterpret_cast<Element*>(stage);
    for (int i = 0; i < kCount; ++i) to[pixel(i) * kAcross + place()] = value[i];
  }
};

/// This thread's part of dy's stages.
template <typename Tile, bool kPacks>
struct DyShare : StageShare<Tile::kStage, Tile::kRows, kPacks> {
  using Share = StageShare<Tile::kStage, Tile::kRows, kPacks>;
  const float* from;  // this thread's channel of pixel 0
  std::int32_t channels;
  bool exists;

  __device__ DyShare(const ConvShape& s, const float* dy, std::int32_t first_row) : channels(s.out_channels) {
    const std::int32_t channel = first_row + Share::place() * Share::kLanes;
    from = dy + channel;
    exists = channel < channels;
  }
  __device__ void load(std::uint32_t first_pixel, std::uint32_t end) {
    for (int i = 0; i < Share::kCount; ++i) {
      const std::uint32_t pixel = first_pixel + static_cast<std::uint32_t>(Share::pixel(i));
      Share::value[i] = {};
      if (exists && pixel < end) {
        Share::value[i] =
            *reinterpret_cast<const typename Share::Element*>(from + std::int64_t{pixel} * channels);
      }
    }
  }
};

/// This thread's part of x's stages: one column of the weight, or four channels of one tap.
template <typename Tile, bool kPacks>
struct XShare : StageShare<Tile::kStage, Tile::kColumns, kPacks> {
  using Share = StageShare<Tile::kStage, Tile::kColumns, kPacks>;
  const float* from;  // this tap and channel of a window that begins at offset 0
  std::int32_t row;   // of the tap in its window
  std::int32_t column;
  Extents in;

  __device__ XShare(const ConvShape& s, const float* x, std::int64_t first_column) : in(s.in) {
    const std::int64_t at = first_column + Share::place() * Share::kLanes;
    const auto tap = static_cast<std::int32_t>(at / s.in_channels);
    const auto channel = static_cast<std::int32_t>(at - std::int64_t{tap} * s.in_channels);
    row = tap / s.window.kernel.width * s.window.dilation.height;
    column = tap % s.window.kernel.width * s.window.dilation.width;
    from = x + (std::int64_t{row} * s.in.width + column) * s.in_channels + channel;
    if (at >= s.columns()) row = kNowhere;
  }
  __device__ void load(const WindowStart* starts) {
    for (int i = 0; i < Share::kCount; ++i) {
      const WindowStart start = starts[Share::pixel(i)];
      const auto h = static_cast<std::uint32_t>(start.row + row);
      const auto w = static_cast<std::uint32_t>(start.column + column);
      Share::value[i] = {};
      if (h < static_cast<std::uint32_t>(in.height) && w < static_cast<std::uint32_t>(in.width)) {
        Share::value[i] = *reinterpret_cast<const typename Share::Element*>(from + start.offset);
      }
    }
  }
};

/// This thread's sums: rows of 4 kRowQuads channels, each of 4 kColumnQuads columns.
template <typename Tile>
struct Sums {
  Quad value[4 * Tile::kRowQuads][Tile::kColumnQuads];
  int team;
  int warp;  // of the team
  int first_row_quad;
  int first_column_quad;

  __device__ Sums() : value{} {
    const int block_warp = static_cast<int>(threadIdx.x / kWarpLanes);
    const int lane = static_cast<int>(threadIdx.x % kWarpLanes);
    team = block_warp / Tile::kTeamWarps;
    warp = block_warp % Tile::kTeamWarps;
    first_row_quad = warp / Tile::kWarpColumns * (kLanesDown * Tile::kRowQuads) + lane / kLanesAcross;
    first_column_quad = warp % Tile::kWarpColumns * (kLanesAcross * Tile::kColumnQuads) + lane % kLanesAcross;
  }

  /// Quads of the tile's rows (or columns) at the thread's q-th square.
  __device__ int row_quad(int q) const { return first_row_quad + q * kLanesDown; }
  __device__ int column_quad(int q) const { return first_column_quad + q * kLanesAcross; }

  /// Adds the products of the team's pixels of a stage.
  __device__ void multiply(const Quad* dy, const Quad* x) {
    constexpr int kPixels = Tile::kStage / Tile::kTeams;
    // With 64 sums, 4 pixels at once do not fit into 128 registers.
    constexpr int kAtOnce = Tile::kRowQuads * Tile::kColumnQuads == 4 ? 2 : 4;
    UNROLL(kAtOnce)
    for (int i = 0; i < kPixels; ++i) {
      const int pixel = team * kPixels + i;
      Quad a[Tile::kRowQuads];
      Quad b[Tile::kColumnQuads];
      for (int q = 0; q < Tile::kRowQuads; ++q) a[q] = dy[pixel * (Tile::kRows / 4) + row_quad(q)];
      for (int q = 0; q < Tile::kColumnQuads; ++q) b[q] = x[pixel * (Tile::kColumns / 4) + column_quad(q)];
      for (int row = 0; row < 4 * Tile::kRowQuads; ++row) {
        for (int column = 0; column < 4 * Tile::kColumnQuads; ++column) {
          value[row][column / 4].value[column % 4] +=
              a[row / 4].value[row % 4] * b[column / 4].value[column % 4];
        }
      }
    }
  }

  /// Adds the teams' sums by a fixed tree; team 0 gets the result. `memory` holds kReductionQuads.
  static constexpr int kReductionQuads = kWarps / 2 * static_cast<int>(kWarpLanes) * 4 * Tile::kColumnQuads;
  __device__ void reduce_teams(Quad* memory) {
    const int lane = static_cast<int>(threadIdx.x % kWarpLanes);
    for (int q = 0; q < Tile::kRowQuads; ++q) {
      for (int half = Tile::kTeams / 2; half > 0; half /= 2) {
        __syncthreads();  // what was read of the memory before has been read
        const int slot = (team % half * Tile::kTeamWarps + warp) * 4 * Tile::kColumnQuads;
        const auto at = [&](int row, int column) {
          return (slot + row * Tile::kColumnQuads + column) * static_cast<int>(kWarpLanes) + lane;
        };
        if (team >= half && team < 2 * half) {
          for (int row = 0; row < 4; ++row) {
            for (int c = 0; c < Tile::kColumnQuads; ++c) memory[at(row, c)] = value[4 * q + row][c];
          }
        }
        __syncthreads();
        if (team < half) {
          for (int row = 0; row < 4; ++row) {
            for (int c = 0; c < Tile::kColumnQuads; ++c) {
              const Quad other = memory[at(row, c)];
              for (int i = 0; i < 4; ++i) value[4 * q + row][c].value[i] += other.value[i];
            }
          }
        }
      }
    }
  }

  /// To the rows of [rows, columns] that the tile covers from (first_row, first_column) on.
  template <bool kPacks>
  __device__ void write(float* to, std::int32_t rows, std::int64_t columns, std::int32_t first_row,
                        std::int64_t first_column) const {
    for (int r = 0; r < 4 * Tile::kRowQuads; ++r) {
      const std::int32_t row = first_row + 4 * row_quad(r / 4) + r % 4;
      if (row >= rows) continue;
      for (int c = 0; c < Tile::kColumnQuads; ++c) {
        const std::int64_t column = first_column + 4 * column_quad(c);
        float* at = to + row * columns + column;
        if constexpr (kPacks) {
          if (column < columns) *reinterpret_cast<Quad*>(at) = value[r][c];
        } else {
          for (int i = 0; i < 4; ++i) {
            if (column + i < columns) at[i] = value[r][c].value[i];
          }
        }
      }
    }
  }
};

/// blockIdx.x is the tile, blockIdx.y the slice of the pixels. While a stage is multiplied, the next one is
/// loaded; one barrier a stage parts the two buffers of shared memory.
template <typename Tile, bool kPacks>
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

  DyShare<Tile, kPacks> dy(shape, t.dy, first_row);
  XShare<Tile, kPacks> x(shape, t.x, first_column);
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
  float* to = tiling.slices > 1 ? static_cast<float*>(t.workspace) + blockIdx.y * shape.weights() : t.dweight;
  sums.template write<kPacks>(to, shape.out_channels, shape.columns(), first_row, first_column);
}

/// dweight = the sums of the columns of `partials`, [tiling.rows, tiling.channels].
__global__ void __launch_bounds__(kColumnThreads)
    conv_weight_sum_kernel(ColumnTiling tiling, const float* partials, float* dweight) {
  const ColumnPlace place(tiling);
  float sum = 0.0f;
  for_each_row(tiling, place, [&](std::int64_t at) { sum += partials[at]; });
  sum = reduce_lanes(tiling, place, sum, Sum());
  if (place.active && place.lane == 0) dweight[place.channel] = sum;
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
  with_tile(tiling.kind, tiling.packs, [&](auto tile, auto packs) {
    launch(conv_weight_products_kernel<decltype(tile), decltype(packs)::value>,
           {.blocks = blocks_for(tiling.row_tiles * tiling.column_tiles, 1),
            .threads = kConvWeightThreads,
            .rows_of_blocks = static_cast<unsigned>(tiling.slices)},
           stream, shape, tiling, tensors);
  });
  if (tiling.slices == 1) return;
  const ColumnTiling sum = tile_conv_weight_sum(shape, tiling);
  launch(conv_weight_sum_kernel, {.blocks = sum.tiles, .threads = kColumnThreads}, stream, sum,
         static_cast<const float*>(tensors.workspace), tensors.dweight);
}

}  // namespace convoy::kernels
