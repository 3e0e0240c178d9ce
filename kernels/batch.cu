#include "kernels/batch.h"

#include <algorithm>

#include "kernels/launch.h"
#include "kernels/metrics.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"
#include "kernels/schedule_math.h"

namespace convoy::kernels {

constexpr std::int64_t kMaxBatchElements = 0x7fffffff - kMapThreads * 8;  // with the last block's threads

/// An output element's place, advanced in memory order (NHWC). In 32 bits: ptxas spills over 64-bit
/// divisions.
struct PixelPlace {
  std::int32_t row, y, x, channel;

  __device__ PixelPlace(std::int32_t index, const BatchSource& source) {
    const std::int32_t pixel = index / source.channels;
    channel = index - pixel * source.channels;
    const std::int32_t line = pixel / source.width;
    x = pixel - line * source.width;
    row = line / source.height;
    y = line - row * source.height;
  }

  /// True if the next element belongs to another sample.
  __device__ bool advance(const BatchSource& source) {
    if (++channel < source.channels) return false;
    channel = 0;
    if (++x < source.width) return false;
    x = 0;
    if (++y < source.height) return false;
    y = 0;
    ++row;
    return true;
  }
};

/// Of the cursor, what a launch begins with.
struct OrderPlace {
  std::int64_t position;
  std::int64_t length;
  std::int64_t epoch;

  /// The entry of the order that a row shows. In 32 bits, as above.
  __device__ std::uint32_t entry(std::int32_t row) const {
    return static_cast<std::uint32_t>(position + row) % static_cast<std::uint32_t>(length);
  }

  __device__ std::uint32_t place(const BatchSource& source, std::int32_t row) const {
    return source.order[entry(row)];
  }
};

__device__ inline const std::uint8_t* pixels_at(const BatchSource& source, std::uint32_t place) {
  return source.pixels + place * (std::int64_t{source.channels} * source.height * source.width);
}

/// A row of the batch that is shifted over black, and flipped: which image it is, and how it lies.
struct MovedImage {
  const std::uint8_t* pixels;
  Augmentation augmentation;

  /// By the low bits of the step's number.
  __device__ MovedImage(const BatchSource& source, const OrderPlace& order, std::int32_t row,
                        const BatchAugmentation& asked, std::uint32_t step)
      : pixels(pixels_at(source, order.place(source, row))) {
    if (asked.step) {
      augmentation = augmentation_at(asked.random, step, static_cast<std::uint32_t>(row), asked.options);
    }
  }

  __device__ float pixel(const BatchSource& source, const PixelPlace& place, const BatchAugmentation&) const {
    const std::int32_t y = place.y + augmentation.dy;
    std::int32_t x = place.x + augmentation.dx;
    std::uint8_t byte = 0;
    if (y >= 0 && y < source.height && x >= 0 && x < source.width) {
      if (augmentation.flip) x = source.width - 1 - x;
      byte = pixels[(static_cast<std::int64_t>(place.channel) * source.height + y) * source.width + x];
    }
    return normalized(byte, source.scales[place.channel]);
  }
};

/// The same with all that there is. A kernel of its own, so that the one above keeps its registers.
struct VariedImage {
  const std::uint8_t* pixels;
  Variation variation;

  __device__ VariedImage(const BatchSource& source, const OrderPlace& order, std::int32_t row,
                         const BatchAugmentation& asked, std::uint32_t step) {
    pixels = pixels_at(source, order.place(source, row));
    const auto drawn_by = static_cast<std::uint32_t>(row);
    Augmentation& move = variation;
    move = asked.view;
    if (!asked.step) return;
    move = augmentation_at(asked.random, step, drawn_by, asked.options);
    if (asked.options.flip == Flip::alternating)
      move.flip = alternating_flip(asked.random, source.numbers[order.entry(row)], order.epoch);
    if (asked.options.cutout == 0 && !asked.table) return;
    draw_variation(asked.random, step, drawn_by, asked.options, asked.table, source.height, source.width,
                   variation);
  }

  __device__ float pixel(const BatchSource& source, const PixelPlace& place,
                         const BatchAugmentation& asked) const {
    if (variation.cuts(place.y, place.x, asked.options.cutout)) return 0.0f;
    const ImagePlane plane = {
        pixels + static_cast<std::int64_t>(place.channel) * source.height * source.width, source.height,
        source.width, variation.flip, asked.options.padding};
    const std::int32_t y = place.y + variation.dy, x = place.x + variation.dx;
    const std::uint32_t byte = asked.table ? plane.turned(variation.affine, y, x) : plane.at(y, x);
    return normalized(static_cast<std::uint8_t>(byte), source.scales[place.channel]);
  }
};

// A thread makes one 16-byte pack of the output, which may reach into the next sample: packs are aligned
// whatever the size of an image.
template <typename T, typename Image>
__device__ void assemble(const BatchSource& source, const BatchTarget& target,
                         const BatchAugmentation& augmentation, const BegunStep& begun) {
  constexpr int kLanes = map_lanes<T, T>();
  std::uint32_t step = 0;
  if (augmentation.step) {  // the last block writes the new one, when all have read the old one
    const bool begins = begun.scalars && augmentation.step == &begun.scalars->step;
    step = static_cast<std::uint32_t>(*augmentation.step) + (begins ? 1 : 0);
  }
  const OrderPlace order = {source.cursor->position, source.cursor->length, source.cursor->epoch};
  const auto thread = static_cast<std::int32_t>(global_thread());
  const auto rows = static_cast<std::int32_t>(target.rows);
  if (thread < rows) target.labels[thread] = source.labels[order.place(source, thread)];

  const std::int32_t count = rows * source.channels * source.height * source.width;
  T* images = static_cast<T*>(target.images);
  if (thread < (count + kLanes - 1) / kLanes) {
    const std::int32_t begin = thread * kLanes;
    PixelPlace place(begin, source);
    Image image(source, order, place.row, augmentation, step);
    Pack<T> pack;
    for_each_lane<kLanes>([&](int lane) {
      pack.value[lane] = from_float<T>(image.pixel(source, place, augmentation));
      if (place.advance(source) && place.row < rows) {
        image = Image(source, order, place.row, augmentation, step);
      }
    });
    if (begin <= count - kLanes) {
      reinterpret_cast<Pack<T>*>(images)[thread] = pack;
    } else {
      for (int lane = 0; lane < kLanes; ++lane) {  // a constant trip count keeps the pack in registers
        if (lane < count - begin) images[begin + lane] = pack.value[lane];
      }
    }
  }

  if (is_last_block(&source.cursor->arrived, gridDim.x) && threadIdx.x == 0) {
    source.cursor->position = (order.position + target.rows) % order.length;
    if (begun.scalars) *begun.scalars = step_scalars(*begun.table, begun.scalars->step + 1);
  }
}

template <typename T>
__global__ void __launch_bounds__(kMapThreads, kMapBlocks)
    assemble_batch_kernel(BatchSource source, BatchTarget target, BatchAugmentation augmentation,
                          BegunStep begun) {
  assemble<T, MovedImage>(source, target, augmentation, begun);
}

constexpr int kVariedBlocks = 2;  // bilinear pixels take more than 64 registers

template <typename T>
__global__ void __launch_bounds__(kMapThreads, kVariedBlocks)
    vary_batch_kernel(BatchSource source, BatchTarget target, BatchAugmentation augmentation,
                      BegunStep begun) {
  assemble<T, VariedImage>(source, target, augmentation, begun);
}

void assemble_batch(const BatchSource& source, const BatchTarget& target,
                    const BatchAugmentation& augmentation, const BegunStep& begun, cudaStream_t stream) {
  if (target.rows == 0) {
    if (begun.scalars) advance_step(begun.scalars, begun.table, stream);
    return;
  }
  const std::int64_t count = target.rows * source.channels * source.height * source.width;
  if (count > kMaxBatchElements || target.rows > kMaxBatchElements) {
    throw Error("a batch of " + std::to_string(target.rows) + " images with " + std::to_string(count) +
                " elements is too large; use a smaller batch size");
  }
  with_dtype(target.dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr std::int64_t kLanes = map_lanes<T, T>();
    // One thread a pack, and at least one a label.
    const std::int64_t threads = std::max((count + kLanes - 1) / kLanes, target.rows);
    const auto kernel =
        needs_variation(augmentation.options) ? vary_batch_kernel<T> : assemble_batch_kernel<T>;
    launch(kernel, {.blocks = blocks_for(threads, kMapThreads), .threads = kMapThreads}, stream, source,
           target, augmentation, begun);
  });
}

}  // namespace convoy::kernels
