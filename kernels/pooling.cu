#include "kernels/pooling.h"

#include "kernels/pool_parts.h"

namespace convoy::kernels {

/// A range of rows or of columns.
struct Range {
  std::int32_t begin;
  std::int32_t end;
};

__device__ inline std::int32_t least(std::int32_t a, std::int32_t b) { return a < b ? a : b; }

/// The pixels of an axis of `size` that the window at `out` sees; `origin` is the window's first one, padding
/// included.
__device__ inline Range seen_by(std::int32_t origin, std::int32_t kernel, std::int32_t size) {
  return {origin < 0 ? 0 : origin, least(origin + kernel, size)};
}

/// The windows, of `count`, that see a pixel; `at` is its place with the padding in front of it.
__device__ inline Range that_see(std::int32_t at, std::int32_t kernel, std::int32_t stride,
                                 std::int32_t count) {
  const std::int32_t first = at - kernel + 1;  // where a window begins that ends with the pixel
  return {first <= 0 ? 0 : (first + stride - 1) / stride, least(at / stride + 1, count)};
}

/// The rows and columns of x under the window of an output pixel.
struct Patch {
  std::int32_t top;  // the window's first row and column, padding included
  std::int32_t left;
  Range rows;
  Range columns;

  __device__ Patch(const PoolShape& s, std::int32_t row, std::int32_t column)
      : top(row * s.window.stride.height - s.window.padding.height),
        left(column * s.window.stride.width - s.window.padding.width),
        rows(seen_by(top, s.window.kernel.height, s.in.height)),
        columns(seen_by(left, s.window.kernel.width, s.in.width)) {}
  __device__ float divisor(const PoolShape& s, bool count_include_pad) const {
    if (count_include_pad) return static_cast<float>(s.window.kernel.count());
    return static_cast<float>(std::int64_t{rows.end - rows.begin} * (columns.end - columns.begin));
  }
};

/// Calls body(row, column) for the windows that see a pixel, in row-major order.
template <typename Body>
__device__ void for_each_window(const PoolShape& s, std::int32_t row, std::int32_t column, Body body) {
  const ImageWindow& w = s.window;
  const Range rows = that_see(row + w.padding.height, w.kernel.height, w.stride.height, s.out.height);
  const Range columns = that_see(column + w.padding.width, w.kernel.width, w.stride.width, s.out.width);
  for (std::int32_t r = rows.begin; r < rows.end; ++r) {
    for (std::int32_t c = columns.begin; c < columns.end; ++c) body(r, c);
  }
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, kMapBlocks)
    max_pool_forward_kernel(PoolShape s, MaxPoolForward t) {
  const PixelPack<kLanes> out(s.out, s.channels);
  if (out.element >= s.out_count()) return;
  const Patch patch(s, out.row, out.column);
  const std::int32_t width = s.window.kernel.width;
  const auto tap_at = [&](std::int32_t r, std::int32_t c) {
    return (r - patch.top) * width + c - patch.left;
  };
  float best[kLanes];
  std::int32_t tap[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    best[lane] = kBelowAll;
    tap[lane] = tap_at(patch.rows.begin, patch.columns.begin);  // stays if all are -inf
  }
  for (std::int32_t r = patch.rows.begin; r < patch.rows.end; ++r) {
    for (std::int32_t c = patch.columns.begin; c < patch.columns.end; ++c) {
      const auto pack = pack_at<kLanes>(static_cast<const T*>(t.x), out.at(s.in, s.channels, r, c));
      for (int lane = 0; lane < kLanes; ++lane) {
        const float value = to_float(pack.value[lane]);
        const bool wins = value > best[lane] || value != value;  // a NaN wins, as in PyTorch
        best[lane] = wins ? value : best[lane];
        tap[lane] = wins ? tap_at(r, c) : tap[lane];
      }
    }
  }
  write_pack<T>(t.y, out.element, best);
  Pack<std::uint8_t, kLanes> index;
  for (int lane = 0; lane < kLanes; ++lane) index.value[lane] = static_cast<std::uint8_t>(tap[lane]);
  *reinterpret_cast<Pack<std::uint8_t, kLanes>*>(t.index + out.element) = index;
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, kMapBlocks)
    max_pool_backward_kernel(PoolShape s, MaxPoolBackward t) {
  const PixelPack<kLanes> in(s.in, s.channels);
  if (in.element >= s.in_count()) return;
  const ImageWindow& w = s.window;
  float sum[kLanes] = {};
  for_each_window(s, in.row, in.column, [&](std::int32_t r, std::int32_t c) {
    const std::int64_t at = in.at(s.out, s.channels, r, c);
    const std::int32_t tap = (in.row + w.padding.height - r * w.stride.height) * w.kernel.width +
                             (in.column + w.padding.width - c * w.stride.width);
    const auto index = pack_at<kLanes>(t.index, at);
    const auto dy = pack_at<kLanes>(static_cast<const T*>(t.dy), at);
    for (int lane = 0; lane < kLanes; ++lane)
      sum[lane] += index.value[lane] == tap ? to_float(dy.value[lane]) : 0.0f;
  });
  write_pack<T>(t.dx, in.element, sum);
}

// With four blocks on a multiprocessor it would spill on sm_100.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, 3) avg_pool_forward_kernel(PoolShape s, AvgPool t) {
  const PixelPack<kLanes> out(s.out, s.channels);
  if (out.element >= s.out_count()) return;
  const Patch patch(s, out.row, out.column);
  float sum[kLanes] = {};
  for (std::int32_t r = patch.rows.begin; r < patch.rows.end; ++r) {
    for (std::int32_t c = patch.columns.begin; c < patch.columns.end; ++c) {
      const auto pack = pack_at<kLanes>(static_cast<const T*>(t.from), out.at(s.in, s.channels, r, c));
      for (int lane = 0; lane < kLanes; ++lane) sum[lane] += to_float(pack.value[lane]);
    }
  }
  const float divisor = patch.divisor(s, t.count_include_pad);
  for (int lane = 0; lane < kLanes; ++lane) sum[lane] /= divisor;
  write_pack<T>(t.to, out.element, sum);
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kPoolThreads, kMapBlocks) avg_pool_backward_kernel(PoolShape s, AvgPool t) {
  const PixelPack<kLanes> in(s.in, s.channels);
  if (in.element >= s.in_count()) return;
  float sum[kLanes] = {};
  for_each_window(s, in.row, in.column, [&](std::int32_t r, std::int32_t c) {
    const float divisor = Patch(s, r, c).divisor(s, t.count_include_pad);
    const auto dy = pack_at<kLanes>(static_cast<const T*>(t.from), in.at(s.out, s.channels, r, c));
    for (int lane = 0; lane < kLanes; ++lane) sum[lane] += to_float(dy.value[lane]) / divisor;
  });
  write_pack<T>(t.to, in.element, sum);
}

bool pool_fits(const PoolShape& s) {
  for (const Extents& e : {s.in, s.out, s.window.kernel, s.window.stride, s.window.padding}) {
    if (e.height > kMaxExtent || e.width > kMaxExtent) return false;
  }
  return s.channels <= kMaxExtent;
}

void max_pool_forward(const PoolShape& shape, const MaxPoolForward& tensors, cudaStream_t stream) {
  if (shape.out_count() == 0) return;
  with_packs(shape, [&](auto zero, auto lanes) {
    launch(max_pool_forward_kernel<decltype(zero), lanes()>, pool_shape(shape.out_count(), lanes()), stream,
           shape, tensors);
  });
}

void max_pool_backward(const PoolShape& shape, const MaxPoolBackward& tensors, cudaStream_t stream) {
  if (shape.in_count() == 0) return;
  with_packs(shape, [&](auto zero, auto lanes) {
    launch(max_pool_backward_kernel<decltype(zero), lanes()>, pool_shape(shape.in_count(), lanes()), stream,
           shape, tensors);
  });
}

void avg_pool_forward(const PoolShape& shape, const AvgPool& tensors, cudaStream_t stream) {
  if (shape.out_count() == 0) return;
  with_packs(shape, [&](auto zero, auto lanes) {
    launch(avg_pool_forward_kernel<decltype(zero), lanes()>, pool_shape(shape.out_count(), lanes()), stream,
           shape, tensors);
  });
}

void avg_pool_backward(const PoolShape& shape, const AvgPool& tensors, cudaStream_t stream) {
  if (shape.in_count() == 0) return;
  with_packs(shape, [&](auto zero, auto lanes) {
    launch(avg_pool_backward_kernel<decltype(zero), lanes()>, pool_shape(shape.in_count(), lanes()), stream,
           shape, tensors);
  });
}

}  // namespace convoy::kernels
