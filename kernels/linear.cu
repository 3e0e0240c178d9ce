#include "kernels/linear.h"

#include "kernels/columns.h"
#include "kernels/launch.h"
#include "kernels/pack.h"

namespace convoy::kernels {

constexpr unsigned kTile = 16;
constexpr unsigned kTileThreads = kTile * kTile;
constexpr unsigned kPitch = kTile + 1;  // keeps a column's elements in different banks

template <typename T>
__device__ float element_or_zero(const T* matrix, std::int64_t row, std::int64_t rows, std::int64_t column,
                                 std::int64_t columns) {
  return row < rows && column < columns ? to_float(matrix[row * columns + column]) : 0.0f;
}

// One thread an element of a 16 x 16 tile of y; tiles of x and W pass through shared memory.
template <typename T>
__global__ void __launch_bounds__(kTileThreads) linear_forward_kernel(LinearForward t) {
  SHARED_ARRAY(float, x_tile, kTile* kPitch);
  SHARED_ARRAY(float, w_tile, kTile* kPitch);
  const std::int64_t tiles = (t.out_features + kTile - 1) / kTile;
  const std::int64_t first_row = blockIdx.x / tiles * kTile;
  const std::int64_t first_out = blockIdx.x % tiles * kTile;
  const unsigned column = threadIdx.x % kTile;
  const unsigned row = threadIdx.x / kTile;
  const T* x = static_cast<const T*>(t.x);
  const T* weight = static_cast<const T*>(t.weight);

  float sum = 0.0f;
  for (std::int64_t first = 0; first < t.in_features; first += kTile) {
    x_tile[row * kPitch + column] =
        element_or_zero(x, first_row + row, t.rows, first + column, t.in_features);
    w_tile[row * kPitch + column] =
        element_or_zero(weight, first_out + row, t.out_features, first + column, t.in_features);
    __syncthreads();
    for (unsigned k = 0; k < kTile; ++k) sum += x_tile[row * kPitch + k] * w_tile[column * kPitch + k];
    __syncthreads();
  }
  if (first_row + row >= t.rows || first_out + column >= t.out_features) return;
  if (t.bias) sum += t.bias[first_out + column];
  static_cast<T*>(t.y)[(first_row + row) * t.out_features + first_out + column] = from_float<T>(sum);
}

template <typename T>
__global__ void __launch_bounds__(kColumnThreads) bias_gradient_kernel(ColumnTiling tiling, BiasGradient t) {
  const ColumnPlace place(tiling);
  const T* dy = static_cast<const T*>(t.dy);
  float sum = 0.0f;
  for_each_row(tiling, place, [&](std::int64_t at) { sum += to_float(dy[at]); });
  if (reduce_columns(tiling, t.scratch, sum, 0.0f, Sum())) t.dbias[place.channel] = sum;
}

void linear_forward(const LinearForward& linear, cudaStream_t stream) {
  if (linear.rows == 0 || linear.out_features == 0) return;
  const std::int64_t row_tiles = (linear.rows + kTile - 1) / kTile;
  const std::int64_t out_tiles = (linear.out_features + kTile - 1) / kTile;
  with_dtype(linear.dtype, [&](auto zero) {
    launch(linear_forward_kernel<decltype(zero)>,
           {.blocks = blocks_for(row_tiles * out_tiles, 1), .threads = kTileThreads}, stream, linear);
  });
}

void bias_gradient(const BiasGradient& gradient, cudaStream_t stream) {
  if (gradient.channels == 0) return;
  const ColumnTiling tiling = tile_columns(gradient.rows, gradient.channels);
  with_dtype(gradient.dtype, [&](auto zero) {
    launch(bias_gradient_kernel<decltype(zero)>,
           {.blocks = tiling.tiles, .threads = kColumnThreads, .rows_of_blocks = tiling.slabs}, stream,
           tiling, gradient);
  });
}

}  // namespace convoy::kernels
