#include "kernels/convert.h"

#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/shared_array.h"

namespace convoy::kernels {

constexpr unsigned kTile = 32;
constexpr unsigned kTileThreads = 256;
constexpr unsigned kTileRows = kTileThreads / kTile;  // that the block moves at once

/// `images` matrices of [rows, columns], one behind another.
struct Matrices {
  std::int64_t images, rows, columns;
};

HOST_DEVICE inline std::int64_t tiles_of(std::int64_t extent) { return (extent + kTile - 1) / kTile; }

template <typename In, typename Out>
__global__ void __launch_bounds__(kMapThreads) cast_kernel(const In* in, Out* out, std::int64_t count) {
  map_packs(
      out, count, [](std::int64_t, float value) { return value; }, in);
}

// A tile goes through shared memory, so that both reads and writes are of neighbouring elements. The extra
// column keeps a column's elements in different banks.
template <typename T>
__global__ void __launch_bounds__(kTileThreads) transpose_kernel(const T* in, T* out, Matrices m) {
  SHARED_ARRAY(T, tile, kTile * (kTile + 1));
  const std::int64_t across = tiles_of(m.columns);
  const std::int64_t tiles = tiles_of(m.rows) * across;
  const std::int64_t image = blockIdx.x / tiles;
  const std::int64_t first_row = blockIdx.x % tiles / across * kTile;
  const std::int64_t first_column = blockIdx.x % tiles % across * kTile;
  const unsigned x = threadIdx.x % kTile;
  const unsigned y = threadIdx.x / kTile;
  in += image * m.rows * m.columns;
  out += image * m.rows * m.columns;

  for (unsigned i = y; i < kTile; i += kTileRows) {
    if (first_row + i < m.rows && first_column + x < m.columns) {
      tile[i * (kTile + 1) + x] = in[(first_row + i) * m.columns + first_column + x];
    }
  }
  __syncthreads();
  for (unsigned i = y; i < kTile; i += kTileRows) {
    if (first_column + i < m.columns && first_row + x < m.rows) {
      out[(first_column + i) * m.rows + first_row + x] = tile[x * (kTile + 1) + i];
    }
  }
}

void cast(const float* in, __nv_bfloat16* out, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  launch(cast_kernel<float, __nv_bfloat16>, map_shape<float, __nv_bfloat16>(count), stream, in, out, count);
}

void cast(const __nv_bfloat16* in, float* out, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  launch(cast_kernel<__nv_bfloat16, float>, map_shape<__nv_bfloat16, float>(count), stream, in, out, count);
}

namespace {

void transpose(const Permutation& permutation, const Matrices& m, cudaStream_t stream) {
  if (m.images * m.rows * m.columns == 0) return;
  with_element(permutation.element, [&](auto zero) {
    using T = decltype(zero);
    launch(
        transpose_kernel<T>,
        {.blocks = blocks_for(m.images * tiles_of(m.rows) * tiles_of(m.columns), 1), .threads = kTileThreads},
        stream, static_cast<const T*>(permutation.in), static_cast<T*>(permutation.out), m);
  });
}

}  // namespace

void nchw_to_nhwc(const Permutation& permutation, cudaStream_t stream) {
  transpose(permutation, {permutation.images, permutation.channels, permutation.plane}, stream);
}

void nhwc_to_nchw(const Permutation& permutation, cudaStream_t stream) {
  transpose(permutation, {permutation.images, permutation.plane, permutation.channels}, stream);
}

}  // namespace convoy::kernels
