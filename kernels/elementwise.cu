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

/// The index in NCHW order of an element that lies at `at` in NHWC memory, advanced in memory order.
struct LogicalPlace {
  std::int64_t channel, position, first;  // `first`: index of the image's first element

  __device__ LogicalPlace(const LogicalShape& shape, std::int64_t at) {
    const std::int64_t pixel = at / shape.channels;
    const std::int64_t image = pixel / shape.plane;
    channel = at - pixel * shape.channels;
    position = pixel - image * shape.plane;
    first = image * shape.channels * shape.plane;
  }
  __device__ std::uint64_t index(const LogicalShape& shape) const {
    return static_cast<std::uint64_t>(first + channel * shape.plane + position);
  }
  __device__ void advance(const LogicalShape& shape) {
    if (++channel < shape.channels) return;
    channel = 0;
    if (++position < shape.plane) return;
    position = 0;
    first += shape.channels * shape.plane;
  }
};

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    dropout_kernel(const T* in, T* out, LogicalShape shape, DropoutOptions options) {
  const auto step = static_cast<std::uint32_t>(*options.step);
  const float scale = 1.0f / (1.0f - options.p);
  LogicalPlace place(shape, global_thread() * map_lanes<T, T>());
  const auto dropped = [&](std::int64_t, float value) {  // called in memory order
    const bool kept = uniform_at(options.random, step, place.index(shape)) >= options.p;
    place.advance(shape);
    return value * (kept ? scale : 0.0f);  // so that a NaN stays
  };
  map_packs(out, shape.count, dropped, in);
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

void dropout(const DropoutTensors& tensors, const DropoutOptions& options, cudaStream_t stream) {
  if (tensors.shape.count == 0) return;
  with_dtype(tensors.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(dropout_kernel<T>, map_shape<T>(tensors.shape.count), stream, static_cast<const T*>(tensors.in),
           static_cast<T*>(tensors.out), tensors.shape, options);
  });
}

}  // namespace convoy::kernels
