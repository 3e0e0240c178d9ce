#include "kernels/group_norm.h"

#include <cmath>

#include "kernels/columns.h"
#include "kernels/launch.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"

namespace convoy::kernels {

constexpr int kGroupThreads = 256;

/// What indexing needs: a group is `width` neighbouring channels.
struct GroupTiling {
  std::int64_t image_size;  // elements
  std::uint32_t channels;
  std::uint32_t groups;
  std::uint32_t width;
  std::uint32_t group_size;  // elements of a group of one image
};

GroupTiling tile_groups(const GroupNormShape& s) {
  const std::int32_t width = s.channels / s.groups;
  return {.image_size = s.pixels * s.channels,
          .channels = static_cast<std::uint32_t>(s.channels),
          .groups = static_cast<std::uint32_t>(s.groups),
          .width = static_cast<std::uint32_t>(width),
          .group_size = static_cast<std::uint32_t>(s.pixels * width)};
}

__device__ inline float weight_of(const float* weight, unsigned channel) {
  return weight ? weight[channel] : 1.0f;
}

/// Calls body(element, channel) for this thread's part of the block's group: block n * groups + g has group g
/// of image n.
template <typename Body>
__device__ void for_each_of_group(const GroupTiling& t, Body body) {
  const std::int64_t image = blockIdx.x / t.groups;
  const std::uint32_t first = blockIdx.x % t.groups * t.width;
  for (std::uint32_t i = threadIdx.x; i < t.group_size; i += kGroupThreads) {
    const std::uint32_t channel = first + i % t.width;
    body(image * t.image_size + std::int64_t{i / t.width} * t.channels + channel, channel);
  }
}

__device__ inline float block_sum(float value) { return block_reduce(value, 0.0f, Sum()); }

// The mean, then sums around it. What rounding left of the mean shows in the sum of the deviations, whose
// square is all that is subtracted from the squares: nothing cancels.
template <typename T>
__global__ void __launch_bounds__(kGroupThreads)
    group_norm_statistics_kernel(GroupTiling tiling, GroupNormForward t) {
  const T* x = static_cast<const T*>(t.x);
  const auto size = static_cast<float>(tiling.group_size);
  float sum = 0.0f;
  for_each_of_group(tiling, [&](std::int64_t at, unsigned) { sum += to_float(x[at]); });
  const float mean = block_sum(sum) / size;
  float deviations = 0.0f;
  float squares = 0.0f;
  for_each_of_group(tiling, [&](std::int64_t at, unsigned) {
    const float deviation = to_float(x[at]) - mean;
    deviations += deviation;
    squares += deviation * deviation;
  });
  const float offset = block_sum(deviations) / size;
  const float variance = block_sum(squares) / size - offset * offset;
  if (threadIdx.x > 0) return;
  t.saved_mean[blockIdx.x] = mean + offset;
  t.saved_inverse_std[blockIdx.x] = 1.0f / std::sqrt((variance < 0.0f ? 0.0f : variance) + t.epsilon);
}

/// Of the elements of this thread's pack: their channels, and the places of their groups' statistics. One
/// division by the size of an image serves all of them.
template <typename T>
struct PackGroups {
  PackChannels<T> channel;
  std::int64_t image_size;
  std::int64_t first_image;
  std::int64_t first_end;  // of that image
  unsigned groups;
  unsigned width;

  __device__ explicit PackGroups(const GroupTiling& t)
      : channel(static_cast<std::int32_t>(t.channels)),
        image_size(t.image_size),
        first_image(channel.begin / t.image_size),
        first_end((first_image + 1) * t.image_size),
        groups(t.groups),
        width(t.width) {}
  __device__ std::int64_t statistics(std::int64_t i, unsigned c) const {
    std::int64_t image = first_image;
    for (std::int64_t end = first_end; i >= end; end += image_size) ++image;
    return image * groups + c / width;
  }
};

template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    group_norm_apply_kernel(std::int64_t count, GroupTiling tiling, GroupNormForward t) {
  const PackGroups<T> pack(tiling);
  const auto normalise = [&](std::int64_t i, float x) {
    const unsigned c = pack.channel(i);
    const std::int64_t s = pack.statistics(i, c);
    const float scale = t.saved_inverse_std[s] * weight_of(t.weight, c);
    return (x - t.saved_mean[s]) * scale + (t.bias ? t.bias[c] : 0.0f);
  };
  map_packs(static_cast<T*>(t.y), count, normalise, static_cast<const T*>(t.x));
}

/// The sums of a channel: of dy, and of dy times the normalised x.
struct ChannelGradients {
  float dy;
  float dy_xhat;
};

struct AddChannelGradients {
  __device__ ChannelGradients operator()(const ChannelGradients& a, const ChannelGradients& b) const {
    return {a.dy + b.dy, a.dy_xhat + b.dy_xhat};
  }
};

template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    group_norm_parameters_kernel(ColumnTiling tiling, GroupTiling groups, GroupNormBackward t) {
  const ColumnPlace place(tiling);
  const T* x = static_cast<const T*>(t.x);
  const T* dy = static_cast<const T*>(t.dy);
  const unsigned group = static_cast<unsigned>(place.channel) / groups.width;
  ChannelGradients sums = {0.0f, 0.0f};
  // A thread's rows ascend, so that its image is found without a division of each.
  std::int64_t end = 0;  // of the image whose statistics these are
  float mean = 0.0f;
  float inverse_std = 0.0f;
  for_each_row(tiling, place, [&](std::int64_t at) {
    if (at >= end) {
      const std::int64_t image = at / groups.image_size;
      end = (image + 1) * groups.image_size;
      const std::int64_t statistics = image * groups.groups + group;
      mean = t.saved_mean[statistics];
      inverse_std = t.saved_inverse_std[statistics];
    }
    const float g = to_float(dy[at]);
    sums.dy += g;
    sums.dy_xhat += g * ((to_float(x[at]) - mean) * inverse_std);
  });
  if (!reduce_columns(tiling, t.scratch, sums, ChannelGradients{0.0f, 0.0f}, AddChannelGradients())) return;
  if (t.dbias) t.dbias[place.channel] = sums.dy;
  if (t.dweight) t.dweight[place.channel] = sums.dy_xhat;
}

template <typename T>
__global__ void __launch_bounds__(kGroupThreads)
    group_norm_means_kernel(GroupTiling tiling, GroupNormBackward t) {
  const T* x = static_cast<const T*>(t.x);
  const T* dy = static_cast<const T*>(t.dy);
  const float mean = t.saved_mean[blockIdx.x];
  const float inverse_std = t.saved_inverse_std[blockIdx.x];
  float sum = 0.0f;
  float products = 0.0f;
  for_each_of_group(tiling, [&](std::int64_t at, unsigned channel) {
    const float g = weight_of(t.weight, channel) * to_float(dy[at]);
    sum += g;
    products += g * ((to_float(x[at]) - mean) * inverse_std);
  });
  sum = block_sum(sum);
  products = block_sum(products);
  if (threadIdx.x > 0) return;
  t.mean_g[blockIdx.x] = sum / static_cast<float>(tiling.group_size);
  t.mean_g_xhat[blockIdx.x] = products / static_cast<float>(tiling.group_size);
}

// dx = inverse_std (g - mean(g) - xhat mean(g xhat)), from the means of the launch before.
template <typename T>
__global__ void __launch_bounds__(kMapThreads, kMapBlocks)
    group_norm_dx_kernel(std::int64_t count, GroupTiling tiling, GroupNormBackward t) {
  const PackGroups<T> pack(tiling);
  const auto gradient = [&](std::int64_t i, float x, float dy) {
    const unsigned c = pack.channel(i);
    const std::int64_t s = pack.statistics(i, c);
    const float inverse_std = t.saved_inverse_std[s];
    const float xhat = (x - t.saved_mean[s]) * inverse_std;
    return inverse_std * (weight_of(t.weight, c) * dy - t.mean_g[s] - xhat * t.mean_g_xhat[s]);
  };
  map_packs(static_cast<T*>(t.dx), count, gradient, static_cast<const T*>(t.x), static_cast<const T*>(t.dy));
}

void group_norm_forward(const GroupNormShape& shape, const GroupNormForward& tensors, cudaStream_t stream) {
  if (shape.count() == 0) return;
  const GroupTiling tiling = tile_groups(shape);
  with_dtype(shape.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(group_norm_statistics_kernel<T>,
           {.blocks = blocks_for(shape.images * shape.groups, 1), .threads = kGroupThreads}, stream, tiling,
           tensors);
    launch(group_norm_apply_kernel<T>, map_shape<T>(shape.count()), stream, shape.count(), tiling, tensors);
  });
}

void group_norm_backward(const GroupNormShape& shape, const GroupNormBackward& tensors, cudaStream_t stream) {
  if (shape.count() == 0) return;
  const GroupTiling tiling = tile_groups(shape);
  with_dtype(shape.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (tensors.dweight || tensors.dbias) {
      const ColumnTiling columns = tile_columns(shape.rows(), shape.channels);
      launch(group_norm_parameters_kernel<T>,
             {.blocks = columns.tiles, .threads = kColumnThreads, .rows_of_blocks = columns.slabs}, stream,
             columns, tiling, tensors);
    }
    if (!tensors.dx) return;
    launch(group_norm_means_kernel<T>,
           {.blocks = blocks_for(shape.images * shape.groups, 1), .threads = kGroupThreads}, stream, tiling,
           tensors);
    launch(group_norm_dx_kernel<T>, map_shape<T>(shape.count()), stream, shape.count(), tiling, tensors);
  });
}

}  // namespace convoy::kernels
