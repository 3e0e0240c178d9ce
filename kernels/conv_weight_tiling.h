// How the blocks of a launch share the gradient of a convolution's weight. It follows from the shapes alone,
// so that the bits do not depend on the device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/column_tiling.h"
#include "kernels/image_window.h"

namespace convoy::kernels {

/// A convolution of one group over NHWC images.
struct ConvShape {
  std::int64_t images = 0;
  Extents in;
  std::int32_t in_channels = 0;
  Extents out;
  std::int32_t out_channels = 0;
  ImageWindow window;

  HOST_DEVICE std::int64_t pixels() const { return images * out.count(); }  // that the gradient sums over
  HOST_DEVICE std::int64_t columns() const {
    return window.kernel.count() * in_channels;
  }  // of the weight as a matrix
  HOST_DEVICE std::int64_t weights() const { return columns() * out_channels; }
};

constexpr unsigned kConvWeightThreads = 256;

/// What a block computes: `rows` output channels by `columns` of the weight's [out_channels, columns()], over
/// stages of `stage` pixels that pass through shared memory.
struct ConvWeightTile {
  std::int32_t rows = 0;
  std::int32_t columns = 0;
  std::int32_t stage = 0;
};

/// In ascending size.
enum class ConvWeightTileKind { small, tall, wide, large };

constexpr ConvWeightTile kConvWeightTiles[] = {{16, 32, 64}, {64, 32, 32}, {32, 64, 32}, {64, 128, 16}};

constexpr ConvWeightTile tile_of(ConvWeightTileKind kind) { return kConvWeightTiles[static_cast<int>(kind)]; }

struct ConvWeightTiling {
  ConvWeightTileKind kind = ConvWeightTileKind::small;
  bool packs = false;  // both channel counts are multiples of 4: memory is read 16 bytes at once
  std::int64_t row_tiles = 0;
  std::int64_t column_tiles = 0;
  std::int32_t slices = 0;        // that share the pixels; the blocks of a tile are as many
  std::int64_t slice_pixels = 0;  // a multiple of the tile's stage; the last slice may have fewer

  unsigned launches() const { return slices > 1 ? 2 : 1; }
};

/// Whether the kernel's 32-bit coordinates reach: fewer than 2^30 pixels, elements of an image and weights,
/// and no extent above kMaxExtent.
bool conv_weight_fits(const ConvShape& shape);

/// For a shape that fits and in which nothing is 0.
ConvWeightTiling tile_conv_weight(const ConvShape& shape);

/// Of the slices' partial sums, [slices, out_channels * columns()]; 0 where one slice does it all.
std::size_t conv_weight_workspace_bytes(const ConvShape& shape, const ConvWeightTiling& tiling);

/// How threads share the sum over the slices: one block does all of them for `width` weights.
ColumnTiling tile_conv_weight_sum(const ConvShape& shape, const ConvWeightTiling& tiling);

}  // namespace convoy::kernels
