#include "kernels/elementwise.h"

#include "kernels/launch.h"
#include "kernels/pack.h"

namespace convoy::kernels {

template <typename T>
__global__ void __launch_bounds__(kMapThreads) relu_forward_kernel(const T* x, T* y, std::int64_t count) {
  map_packs(
      y, count, [](std::int64_t, float value) { return value < 0.0f ? 0.0f : value; }, x);
}

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    relu_backward_kernel(const T* y, const T* dy, T* dx, std::int64_t count) {
  const auto masked = [](std::int64_t, float value, float gradient) {
    return value <= 0.0f ? 0.0f : gradient;
  };
  map_packs(dx, count, masked, y, dy);
}

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    add_kernel(const T* a, const T* b, T* out, std::int64_t count) {
  map_packs(
      out, count, [](std::int64_t, float x, float y) { return x + y; }, a, b);
}

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    reorder_kernel(const T* from, MemoryOrder from_order, T* to, MemoryOrder to_order, std::int64_t count) {
  const std::int64_t at = global_thread();
  if (at < count) to[at] = from[from_order.place_of(to_order.index_at(at))];
}

/// The row-major index of an element that lies at `at`, advanced in memory order.
struct LogicalPlace {
  std::int64_t channel, position, first;  // `first`: index of the row's first element

  __device__ LogicalPlace(const MemoryOrder& order, std::int64_t at) {
    const std::int64_t pixel = at / order.channels;
    const std::int64_t row = pixel / order.plane;
    channel = at - pixel * order.channels;
    position = pixel - row * order.plane;
    first = row * order.channels * order.plane;
  }
  __device__ std::uint64_t index(const MemoryOrder& order) const {
    return static_cast<std::uint64_t>(first + channel * order.plane + position);
  }
  __device__ void advance(const MemoryOrder& order) {
    if (++channel < order.channels) return;
    channel = 0;
    if (++position < order.plane) return;
    position = 0;
    first += order.channels * order.plane;
  }
};

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    dropout_kernel(const T* in, T* out, std::int64_t count, MemoryOrder order, DropoutOptions options) {
  const auto step = static_cast<std::uint32_t>(*options.step);
  const float scale = 1.0f / (1.0f - options.p);
  LogicalPlace place(order, global_thread() * map_lanes<T, T>());
  const auto dropped = [&](std::int64_t, float value) {  // called in memory order
    const bool kept = uniform_at(options.random, step, place.index(order)) >= options.p;
    place.advance(order);
    return value * (kept ? scale : 0.0f);  // so that a NaN stays
  };
  map_packs(out, count, dropped, in);
}

void relu_forward(const void* x, void* y, DType dtype, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  with_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(relu_forward_kernel<T>, map_shape<T>(count), stream, static_cast<const T*>(x), static_cast<T*>(y),
           count);
  });
}

void relu_backward(const ReluGradient& tensors, DType dtype, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  with_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(relu_backward_kernel<T>, map_shape<T>(count), stream, static_cast<const T*>(tensors.y),
           static_cast<const T*>(tensors.dy), static_cast<T*>(tensors.dx), count);
  });
}

void add(const Addition& tensors, DType dtype, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  with_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(add_kernel<T>, map_shape<T>(count), stream, static_cast<const T*>(tensors.a),
           static_cast<const T*>(tensors.b), static_cast<T*>(tensors.out), count);
  });
}

void reorder(const Reordering& tensors, DType dtype, std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  with_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(reorder_kernel<T>, {.blocks = blocks_for(count, kMapThreads), .threads = kMapThreads}, stream,
           static_cast<const T*>(tensors.from), tensors.from_order, static_cast<T*>(tensors.to),
           tensors.to_order, count);
  });
}

void dropout(const DropoutTensors& tensors, const DropoutOptions& options, cudaStream_t stream) {
  if (tensors.count == 0) return;
  with_dtype(tensors.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(dropout_kernel<T>, map_shape<T>(tensors.count), stream, static_cast<const T*>(tensors.in),
           static_cast<T*>(tensors.out), tensors.count, tensors.order, options);
  });
}

}  // namespace convoy::kernels
