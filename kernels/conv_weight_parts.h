// The parts of the weight gradient's kernel: how a block's threads bring stages of dy and x into shared
// memory, and multiply them into sums in registers. For .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "kernels/conv_weight_tiling.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"
#include "kernels/unroll.h"

namespace convoy::kernels {

// A product of matrices: dy^T [out_channels, pixels] times the windows of x [pixels, columns]. A block stages
// some pixels of both in shared memory, x gathered as it goes there; each warp multiplies a part of the
// staged pixels into sums in registers.
using Quad = Pack<float, 4>;

constexpr int kLanesDown = 4;  // of a warp, over the rows of its tile; the other 8 lie side by side
constexpr int kLanesAcross = 8;
constexpr int kWarps = static_cast<int>(kConvWeightThreads / kWarpLanes);

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

/// How a block's threads share a stage of kPixels x kWidth numbers: each loads the same place of several
/// pixels. They are T in global memory, and float in shared memory.
template <typename T, int kPixels, int kWidth, bool kPacks>
struct StageShare {
  using Element = std::conditional_t<kPacks, Pack<T, 4>, T>;
  using Stored = std::conditional_t<kPacks, Quad, float>;
  static constexpr int kLanes = kPacks ? 4 : 1;
  static constexpr int kAcross = kWidth / kLanes;
  static constexpr int kDown = static_cast<int>(kConvWeightThreads) / kAcross;
  static constexpr int kCount = kPixels / kDown;
  static_assert(kCount * kDown == kPixels);

  Element value[kCount];  // on the way from global to shared memory

  __device__ static int place() { return static_cast<int>(threadIdx.x) % kAcross; }
  __device__ static int pixel(int i) { return static_cast<int>(threadIdx.x) / kAcross + i * kDown; }
  __device__ void store(Quad* stage) const {
    Stored* to = reinterpret_cast<Stored*>(stage);
    for (int i = 0; i < kCount; ++i) to[pixel(i) * kAcross + place()] = stored(value[i]);
  }
  __device__ static float stored(T number) { return to_float(number); }
  __device__ static Quad stored(const Pack<T, 4>& pack) {
    if constexpr (std::is_same_v<T, float>) {
      return pack;
    } else {
      Quad quad;
      for (int i = 0; i < 4; ++i) quad.value[i] = to_float(pack.value[i]);
      return quad;
    }
  }
};

/// This thread's part of dy's stages.
template <typename T, typename Tile, bool kPacks>
struct DyShare : StageShare<T, Tile::kStage, Tile::kRows, kPacks> {
  using Share = StageShare<T, Tile::kStage, Tile::kRows, kPacks>;
  const T* from;  // this thread's channel of pixel 0
  std::int32_t channels;
  bool exists;

  __device__ DyShare(const ConvShape& s, const T* dy, std::int32_t first_row) : channels(s.out_channels) {
    const std::int32_t channel = first_row + Share::place() * Share::kLanes;
    from = dy + channel;
    exists = channel < channels;
  }
  __device__ void load(std::uint32_t first_pixel, std::uint32_t end) {
    for (int i = 0; i < Share::kCount; ++i) {
      const std::uint32_t pixel = first_pixel + static_cast<std::uint32_t>(Share::pixel(i));
      Share::value[i] = typename Share::Element{};
      if (exists && pixel < end) {
        Share::value[i] =
            *reinterpret_cast<const typename Share::Element*>(from + std::int64_t{pixel} * channels);
      }
    }
  }
};

/// This thread's part of x's stages: one column of the weight, or four channels of one tap.
template <typename T, typename Tile, bool kPacks>
struct XShare : StageShare<T, Tile::kStage, Tile::kColumns, kPacks> {
  using Share = StageShare<T, Tile::kStage, Tile::kColumns, kPacks>;
  const T* from;     // this tap and channel of a window that begins at offset 0
  std::int32_t row;  // of the tap in its window
  std::int32_t column;
  Extents in;

  __device__ XShare(const ConvShape& s, const T* x, std::int64_t first_column) : in(s.in) {
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
      Share::value[i] = typename Share::Element{};
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

  template <typename To>
  __device__ static Pack<To, 4> as(const Quad& quad) {
    if constexpr (std::is_same_v<To, float>) {
      return quad;
    } else {
      Pack<To, 4> pack;
      for (int i = 0; i < 4; ++i) pack.value[i] = from_float<To>(quad.value[i]);
      return pack;
    }
  }

  /// To the rows of [rows, columns] that the tile covers from (first_row, first_column) on.
  template <bool kPacks, typename To>
  __device__ void write(To* to, std::int32_t rows, std::int64_t columns, std::int32_t first_row,
                        std::int64_t first_column) const {
    for (int r = 0; r < 4 * Tile::kRowQuads; ++r) {
      const std::int32_t row = first_row + 4 * row_quad(r / 4) + r % 4;
      if (row >= rows) continue;
      for (int c = 0; c < Tile::kColumnQuads; ++c) {
        const std::int64_t column = first_column + 4 * column_quad(c);
        const std::int64_t at = row * columns + column;
        if constexpr (kPacks) {  // indexed in quads: else nvcc does not see that 16 bytes can be stored at
                                 // once
          if (column < columns) reinterpret_cast<Pack<To, 4>*>(to)[at / 4] = as<To>(value[r][c]);
        } else {
          for (int i = 0; i < 4; ++i) {
            if (column + i < columns) to[at + i] = from_float<To>(value[r][c].value[i]);
          }
        }
      }
    }
  }
};

}  // namespace convoy::kernels
