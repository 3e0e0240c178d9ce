#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/batch_norm_math.h"
#include "kernels/batch_norm_parts.h"
#include "kernels/columns.h"
#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"

namespace convoy::kernels {

struct MergeMoments {
  __device__ Moments operator()(const Moments& a, const Moments& b) const { return merged(a, b); }
};

template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    batch_norm_statistics_kernel(ColumnTiling tiling, BatchNormTraining t) {
  const ColumnPlace place(tiling);
  const T* x = static_cast<const T*>(t.x);
  Moments moments = {0.0f, 0.0f, 0.0f};
  for_each_row(tiling, place, [&](std::int64_t at) { add_value(moments, to_float(x[at])); });
  if (!reduce_columns(tiling, t.scratch, moments, Moments{0.0f, 0.0f, 0.0f}, MergeMoments())) return;
  const auto rows = static_cast<float>(tiling.rows);
  const float unbiased = moments.squares / (tiling.rows > 1 ? rows - 1.0f : 1.0f);
  float& mean = t.running_mean[place.channel];
  float& var = t.running_var[place.channel];
  mean = (1.0f - t.momentum) * mean + t.momentum * moments.mean;
  var = (1.0f - t.momentum) * var + t.momentum * unbiased;
  t.saved_mean[place.channel] = moments.mean;
  t.saved_inverse_std[place.channel] = 1.0f / std::sqrt(moments.squares / rows + t.epsilon);
}

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    batch_norm_apply_kernel(std::int64_t count, std::int32_t channels, BatchNormTraining t) {
  const PackChannels<T> channel(channels);
  const auto normalise = [&](std::int64_t i, float x) {
    const unsigned c = channel(i);
    const float y = (x - t.saved_mean[c]) * (t.saved_inverse_std[c] * t.weight[c]) + t.bias[c];
    return t.relu ? keep_positive(y) : y;
  };
  map_packs(static_cast<T*>(t.y), count, normalise, static_cast<const T*>(t.x));
}

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    batch_norm_evaluation_kernel(std::int64_t count, std::int32_t channels, BatchNormEvaluation t) {
  const PackChannels<T> channel(channels);
  const auto normalise = [&](std::int64_t i, float x) {
    const unsigned c = channel(i);
    const float inverse_std = 1.0f / std::sqrt(t.running_var[c] + t.epsilon);
    const float y = (x - t.running_mean[c]) * (inverse_std * t.weight[c]) + t.bias[c];
    return t.relu ? keep_positive(y) : y;
  };
  map_packs(static_cast<T*>(t.y), count, normalise, static_cast<const T*>(t.x));
}

// dy behind the fused ReLU: nothing passes where y is 0.
__device__ inline float masked(float dy, float y) { return y <= 0.0f ? 0.0f : dy; }

template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    batch_norm_sums_kernel(ColumnTiling tiling, BatchNormBackward t) {
  const ColumnPlace place(tiling);
  const T* x = static_cast<const T*>(t.x);
  const float mean = place.active ? t.saved_mean[place.channel] : 0.0f;
  const float inverse_std = place.active ? t.saved_inverse_std[place.channel] : 0.0f;
  GradientSums sums = {0.0f, 0.0f};
  for_each_row(tiling, place, [&](std::int64_t at) {
    float dy = to_float(static_cast<const T*>(t.dy)[at]);
    if (t.y) dy = masked(dy, to_float(static_cast<const T*>(t.y)[at]));
    sums.dy += dy;
    sums.dy_xhat += dy * ((to_float(x[at]) - mean) * inverse_std);
  });
  if (!reduce_columns(tiling, t.scratch, sums, GradientSums{0.0f, 0.0f}, AddSums())) return;
  t.dbias[place.channel] = sums.dy;
  t.dweight[place.channel] = sums.dy_xhat;
}

// dx = weight inverse_std (dy - mean(dy) - xhat mean(dy xhat)), from the sums of the launch before.
template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    batch_norm_dx_kernel(std::int64_t rows, std::int32_t channels, BatchNormBackward t) {
  const float inverse_rows = 1.0f / static_cast<float>(rows);
  const PackChannels<T> channel(channels);
  const auto gradient = [&](std::int64_t i, float x, float dy) {
    const unsigned c = channel(i);
    const float xhat = (x - t.saved_mean[c]) * t.saved_inverse_std[c];
    const float centred = dy - (t.dbias[c] + xhat * t.dweight[c]) * inverse_rows;
    return t.weight[c] * t.saved_inverse_std[c] * centred;
  };
  const auto masked_gradient = [&](std::int64_t i, float x, float dy, float y) {
    return gradient(i, x, masked(dy, y));
  };
  T* dx = static_cast<T*>(t.dx);
  const T* x = static_cast<const T*>(t.x);
  const T* dy = static_cast<const T*>(t.dy);
  if (t.y) {
    map_packs(dx, rows * channels, masked_gradient, x, dy, static_cast<const T*>(t.y));
  } else {
    map_packs(dx, rows * channels, gradient, x, dy);
  }
}

void batch_norm_statistics(const BatchNormShape& shape, const BatchNormTraining& tensors,
                           cudaStream_t stream) {
  if (shape.rows == 0 || shape.channels == 0) return;
  const ColumnTiling tiling = tile_columns(shape.rows, shape.channels);
  with_dtype(shape.dtype, [&](auto zero) {
    launch(batch_norm_statistics_kernel<decltype(zero)>,
           {.blocks = tiling.tiles, .threads = kColumnThreads, .rows_of_blocks = tiling.slabs}, stream,
           tiling, tensors);
  });
}

void batch_norm_training(const BatchNormShape& shape, const BatchNormTraining& tensors, cudaStream_t stream) {
  if (shape.rows == 0 || shape.channels == 0) return;
  batch_norm_statistics(shape, tensors, stream);
  with_dtype(shape.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(batch_norm_apply_kernel<T>, map_shape<T>(shape.rows * shape.channels), stream,
           shape.rows * shape.channels, shape.channels, tensors);
  });
}

void batch_norm_backward(const BatchNormShape& shape, const BatchNormBackward& tensors, cudaStream_t stream) {
  if (shape.rows == 0 || shape.channels == 0) return;
  const ColumnTiling tiling = tile_columns(shape.rows, shape.channels);
  with_dtype(shape.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(batch_norm_sums_kernel<T>,
           {.blocks = tiling.tiles, .threads = kColumnThreads, .rows_of_blocks = tiling.slabs}, stream,
           tiling, tensors);
    if (!tensors.dx) return;
    launch(batch_norm_dx_kernel<T>, map_shape<T>(shape.rows * shape.channels), stream, shape.rows,
           shape.channels, tensors);
  });
}

void batch_norm_evaluation(const BatchNormShape& shape, const BatchNormEvaluation& tensors,
                           cudaStream_t stream) {
  if (shape.rows == 0 || shape.channels == 0) return;
  with_dtype(shape.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(batch_norm_evaluation_kernel<T>, map_shape<T>(shape.rows * shape.channels), stream,
           shape.rows * shape.channels, shape.channels, tensors);
  });
}

}  // namespace convoy::kernels
