// Assembles a batch from a data set that lies on the device as bytes: gather, normalise, augment, NHWC.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "convoy/dtype.h"
#include "engine/core/step_scalars.h"
#include "kernels/batch_math.h"

namespace convoy::kernels {

/// Where in its order a data set stands. In device memory, so that a graph that was captured sees a new
/// order.
struct BatchCursor {
  std::int64_t position;  // 0 at the order's beginning
  std::int64_t length;    // of the order: 1 to 2^31 - 1; at its end a batch goes on at its beginning
  std::int64_t epoch;     // that the order is of
  unsigned arrived;       // blocks of the running launch; 0 between launches
};

/// A data set on the device, or the part of it that is visited next.
struct BatchSource {
  const std::uint8_t* pixels = nullptr;    // [places, channels, height, width]
  const std::uint8_t* labels = nullptr;    // [places]
  const ChannelScale* scales = nullptr;    // [channels]
  const std::uint32_t* order = nullptr;    // [the cursor's length]: the places of the samples
  const std::uint32_t* numbers = nullptr;  // likewise: their numbers in the data set
  BatchCursor* cursor = nullptr;
  std::int32_t channels = 0;
  std::int32_t height = 0;
  std::int32_t width = 0;
};

struct BatchTarget {
  void* images = nullptr;  // [rows, height, width, channels] of `dtype`, 16-byte aligned
  DType dtype = DType::float32;
  std::int32_t* labels = nullptr;  // [rows]
  std::int64_t rows = 0;
};

/// Augmentation by the device-side step counter, so that every replay of a graph draws anew.
struct BatchAugmentation {
  AugmentationOptions options;
  RandomStream random;
  const std::int64_t* step = nullptr;  // null: nothing is drawn
  const AffineTable* table = nullptr;  // on the device; null: no rotations and scalings
  Augmentation view;                   // where nothing is drawn and padding is reflect: all images move so
};

/// The step that begins with the batch.
struct BegunStep {
  StepScalars* scalars = nullptr;    // of the step before, on the device; null: none begins
  const StepTable* table = nullptr;  // on the device
};

/// Enqueues the batch at the cursor and moves the cursor on by `rows`. It also does what advance_step does
/// for the step that begins; an augmentation by its number draws by the new one. Without it an empty batch
/// enqueues nothing. What needs_variation has a kernel of its own. Throws Error for more than about 2^31
/// elements, CudaError for a refused launch.
void assemble_batch(const BatchSource& source, const BatchTarget& target,
                    const BatchAugmentation& augmentation, const BegunStep& begun, cudaStream_t stream);

}  // namespace convoy::kernels
