#include "kernels/batch_norm_pool.h"

#include <cmath>

#include "kernels/batch_norm_parts.h"
#include "kernels/columns.h"
#include "kernels/pool_parts.h"

namespace convoy::kernels {

constexpr std::uint8_t kNothingPasses = 255;
constexpr std::int32_t kNoTap = 256;

// On a multiprocessor: with four blocks, and so 64 registers a thread, eight channels would spill.
constexpr int kNormPoolBlocks = 3;

/// Of kLanes neighbouring channels. No Pack: eight floats are aligned to no more than four.
template <int kLanes>
struct Lanes {
  float value[kLanes];
  __device__ float operator[](int lane) const { return value[lane]; }
};

/// Of a vector [channels], from `channel` on.
template <int kLanes>
__device__ Lanes<kLanes> lanes_at(const float* vector, std::int32_t channel) {
  constexpr int kWide = kLanes < 4 ? kLanes : 4;
  Lanes<kLanes> lanes;
  for (int begin = 0; begin < kLanes; begin += kWide) {
    const Pack<float, kWide> pack = pack_at<kWide>(vector, channel + begin);
    for (int lane = 0; lane < kWide; ++lane) lanes.value[begin + lane] = pack.value[lane];
  }
  return lanes;
}

/// What wins each lane's window.
template <typename T, int kLanes>
struct Winners {
  float y[kLanes];  // before the ReLU
  std::int32_t tap[kLanes];
  Pack<T, kLanes> x;
};

/// Of the windows at an output pixel, under the mapping (x - mean) factor + bias of each channel.
template <typename T, int kLanes>
__device__ Winners<T, kLanes> winners_of(const PoolShape& s, const PixelPack<kLanes>& out, const T* x,
                                         const Lanes<kLanes>& mean, const Lanes<kLanes>& factor,
                                         const Lanes<kLanes>& bias) {
  const ImageWindow& w = s.window;
  const std::int64_t first = out.at(s.in, s.channels, out.row * w.stride.height, out.column * w.stride.width);
  Winners<T, kLanes> best;
  for (int lane = 0; lane < kLanes; ++lane) {
    best.y[lane] = kBelowAll;  // stays if all are -inf, of which the ReLU lets nothing pass
    best.tap[lane] = 0;
    best.x.value[lane] = from_float<T>(0.0f);
  }
  for (std::int32_t r = 0; r < w.kernel.height; ++r) {
    for (std::int32_t c = 0; c < w.kernel.width; ++c) {
      const Pack<T, kLanes> pack =
          pack_at<kLanes>(x, first + (std::int64_t{r} * s.in.width + c) * s.channels);
      for (int lane = 0; lane < kLanes; ++lane) {
        const float y = (to_float(pack.value[lane]) - mean[lane]) * factor[lane] + bias[lane];
        const bool wins = y > best.y[lane] || y != y;  // a NaN wins, as in PyTorch
        best.y[lane] = wins ? y : best.y[lane];
        best.tap[lane] = wins ? r * w.kernel.width + c : best.tap[lane];
        best.x.value[lane] = wins ? pack.value[lane] : best.x.value[lane];
      }
    }
  }
  return best;
}

template <typename T, int kLanes>
__device__ void write_rectified(void* y, std::int64_t element, const float (&best)[kLanes]) {
  float rectified[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) rectified[lane] = keep_positive(best[lane]);
  write_pack<T>(y, element, rectified);
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, kNormPoolBlocks)
    batch_norm_pool_kernel(PoolShape s, BatchNormPoolTraining t) {
  const PixelPack<kLanes> out(s.out, s.channels);
  if (out.element >= s.out_count()) return;
  const auto inverse_std = lanes_at<kLanes>(t.norm.saved_inverse_std, out.channel);
  auto factor = lanes_at<kLanes>(t.norm.weight, out.channel);
  for (int lane = 0; lane < kLanes; ++lane) factor.value[lane] *= inverse_std[lane];
  const Winners<T, kLanes> best =
      winners_of(s, out, static_cast<const T*>(t.norm.x), lanes_at<kLanes>(t.norm.saved_mean, out.channel),
                 factor, lanes_at<kLanes>(t.norm.bias, out.channel));
  write_rectified<T>(t.norm.y, out.element, best.y);
  if (!t.index) return;
  *reinterpret_cast<Pack<T, kLanes>*>(static_cast<T*>(t.winners) + out.element) = best.x;
  Pack<std::uint8_t, kLanes> index;
  for (int lane = 0; lane < kLanes; ++lane) {
    const bool passes = !(best.y[lane] <= 0.0f);  // a NaN does
    index.value[lane] = passes ? static_cast<std::uint8_t>(best.tap[lane]) : kNothingPasses;
  }
  *reinterpret_cast<Pack<std::uint8_t, kLanes>*>(t.index + out.element) = index;
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, kNormPoolBlocks)
    batch_norm_pool_evaluation_kernel(PoolShape s, BatchNormEvaluation t) {
  const PixelPack<kLanes> out(s.out, s.channels);
  if (out.element >= s.out_count()) return;
  const auto variance = lanes_at<kLanes>(t.running_var, out.channel);
  auto factor = lanes_at<kLanes>(t.weight, out.channel);
  for (int lane = 0; lane < kLanes; ++lane)
    factor.value[lane] *= 1.0f / std::sqrt(variance[lane] + t.epsilon);
  const Winners<T, kLanes> best =
      winners_of(s, out, static_cast<const T*>(t.x), lanes_at<kLanes>(t.running_mean, out.channel), factor,
                 lanes_at<kLanes>(t.bias, out.channel));
  write_rectified<T>(t.y, out.element, best.y);
}

// The sums of batch norm's backward are over all of x, but the gradient is 0 where nothing won.
template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    batch_norm_pool_sums_kernel(ColumnTiling tiling, BatchNormPoolBackward t) {
  const ColumnPlace place(tiling);
  const T* winners = static_cast<const T*>(t.winners);
  const T* upstream = static_cast<const T*>(t.dy);
  const float mean = place.active ? t.saved_mean[place.channel] : 0.0f;
  const float inverse_std = place.active ? t.saved_inverse_std[place.channel] : 0.0f;
  GradientSums sums = {0.0f, 0.0f};
  for_each_row(tiling, place, [&](std::int64_t at) {
    const float dy = t.index[at] == kNothingPasses ? 0.0f : to_float(upstream[at]);
    sums.dy += dy;
    sums.dy_xhat += dy * ((to_float(winners[at]) - mean) * inverse_std);
  });
  if (!reduce_columns(tiling, t.scratch, sums, GradientSums{0.0f, 0.0f}, AddSums())) return;
  t.dbias[place.channel] = sums.dy;
  t.dweight[place.channel] = sums.dy_xhat;
}

/// dx = weight inverse_std (g - mean(g) - xhat mean(g xhat)), g being dy where the pixel won and else 0, as
/// scale g + shift + slope (x - mean).
template <int kLanes>
struct GradientOfNorm {
  Lanes<kLanes> mean, scale, shift, slope;

  __device__ GradientOfNorm(const BatchNormPoolBackward& t, std::int32_t channel, float inverse_rows)
      : mean(lanes_at<kLanes>(t.saved_mean, channel)),
        scale(lanes_at<kLanes>(t.weight, channel)),
        shift(lanes_at<kLanes>(t.dbias, channel)),
        slope(lanes_at<kLanes>(t.dweight, channel)) {
    const auto inverse_std = lanes_at<kLanes>(t.saved_inverse_std, channel);
    for (int lane = 0; lane < kLanes; ++lane) {
      scale.value[lane] *= inverse_std[lane];
      shift.value[lane] *= -scale[lane] * inverse_rows;
      slope.value[lane] *= -scale[lane] * inverse_rows * inverse_std[lane];
    }
  }
};

// A cell is a window with the gap behind it, or what the last windows leave of the image: cells cover x, each
// pixel once.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, kNormPoolBlocks)
    batch_norm_pool_dx_kernel(PoolShape s, Extents cells, BatchNormPoolBackward t) {
  const PixelPack<kLanes> cell(cells, s.channels);
  if (cell.image >= s.images) return;
  const ImageWindow& w = s.window;
  const float rows = static_cast<float>(s.images * s.in.count());
  const GradientOfNorm<kLanes> norm(t, cell.channel, 1.0f / rows);
  Pack<std::uint8_t, kLanes> index = {};
  Lanes<kLanes> winner = {};  // scale g of the pixel that won
  const bool has_window = cell.row < s.out.height && cell.column < s.out.width;
  if (has_window) {
    const std::int64_t at = cell.at(s.out, s.channels, cell.row, cell.column);
    index = pack_at<kLanes>(t.index, at);
    const Pack<T, kLanes> dy = pack_at<kLanes>(static_cast<const T*>(t.dy), at);
    for (int lane = 0; lane < kLanes; ++lane)
      winner.value[lane] = norm.scale[lane] * to_float(dy.value[lane]);
  }
  const std::int32_t top = cell.row * w.stride.height;
  const std::int32_t left = cell.column * w.stride.width;
  for (std::int32_t r = 0; r < w.stride.height && top + r < s.in.height; ++r) {
    for (std::int32_t c = 0; c < w.stride.width && left + c < s.in.width; ++c) {
      const bool in_window = has_window && r < w.kernel.height && c < w.kernel.width;
      const std::int32_t tap = in_window ? r * w.kernel.width + c : kNoTap;
      const std::int64_t at = cell.at(s.in, s.channels, top + r, left + c);
      const Pack<T, kLanes> x = pack_at<kLanes>(static_cast<const T*>(t.x), at);
      float dx[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) {
        const float g = index.value[lane] == tap ? winner[lane] : 0.0f;
        dx[lane] = g + (norm.shift[lane] + norm.slope[lane] * (to_float(x.value[lane]) - norm.mean[lane]));
      }
      write_pack<T>(t.dx, at, dx);
    }
  }
}

bool batch_norm_pool_fits(const PoolShape& s) {
  const ImageWindow& w = s.window;
  return pool_fits(s) && w.kernel.count() <= kMaxBatchNormPoolTaps && w.stride.height >= w.kernel.height &&
         w.stride.width >= w.kernel.width && w.padding.height == 0 && w.padding.width == 0;
}

void batch_norm_pool_training(const PoolShape& shape, const BatchNormPoolTraining& tensors,
                              cudaStream_t stream) {
  if (shape.out_count() == 0) return;
  batch_norm_statistics({shape.images * shape.in.count(), shape.channels, shape.dtype}, tensors.norm, stream);
  with_packs(shape, [&](auto zero, auto lanes) {
    launch(batch_norm_pool_kernel<decltype(zero), lanes()>, pool_shape(shape.out_count(), lanes()), stream,
           shape, tensors);
  });
}

void batch_norm_pool_backward(const PoolShape& shape, const BatchNormPoolBackward& tensors,
                              cudaStream_t stream) {
  if (shape.out_count() == 0) return;
  const ColumnTiling tiling = tile_columns(shape.images * shape.out.count(), shape.channels);
  with_dtype(shape.dtype, [&](auto zero) {
    launch(batch_norm_pool_sums_kernel<decltype(zero)>,
           {.blocks = tiling.tiles, .threads = kColumnThreads, .rows_of_blocks = tiling.slabs}, stream,
           tiling, tensors);
  });
  if (!tensors.dx) return;
  const auto cells_of = [](std::int32_t size, std::int32_t stride) { return (size - 1) / stride + 1; };
  const Extents cells = {cells_of(shape.in.height, shape.window.stride.height),
                         cells_of(shape.in.width, shape.window.stride.width)};
  with_packs(shape, [&](auto zero, auto lanes) {
    const std::int64_t count = shape.images * cells.count() * shape.channels;
    launch(batch_norm_pool_dx_kernel<decltype(zero), lanes()>, pool_shape(count, lanes()), stream, shape,
           cells, tensors);
  });
}

void batch_norm_pool_evaluation(const PoolShape& shape, const BatchNormEvaluation& tensors,
                                cudaStream_t stream) {
  if (shape.out_count() == 0) return;
  with_packs(shape, [&](auto zero, auto lanes) {
    launch(batch_norm_pool_evaluation_kernel<decltype(zero), lanes()>, pool_shape(shape.out_count(), lanes()),
           stream, shape, tensors);
  });
}

}  // namespace convoy::kernels
