// The data set as bytes, and the operation that turns the next of them into a batch.
#include <hwy/cache_control.h>

#include <algorithm>
#include <array>
#include <optional>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/host_backend.h"
#include "kernels/affine_table.h"
#include "kernels/batch_math.h"

namespace convoy::cpu {
namespace {

/// What each byte becomes, for one channel.
template <typename T>
using ByteTable = std::array<T, 256>;

void assign(float& to, float value) { to = value; }
void assign(Bfloat16& to, float value) { to = rounded(value); }

template <typename T>
std::vector<ByteTable<T>> byte_tables(const Dataset& dataset) {
  const auto channels = static_cast<std::size_t>(dataset.image[0]);
  const auto at = [](const std::vector<float>& values, std::size_t c) {
    return values[values.size() == 1 ? 0 : c];
  };
  std::vector<ByteTable<T>> tables(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = at(dataset.normalization.mean, c), std = at(dataset.normalization.std, c);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      assign(tables[c][byte], static_cast<float>((static_cast<double>(byte) / 255.0 - mean) / std));
    }
  }
  return tables;
}

template <typename T>
class BatchOperation final : public Operation {
 public:
  BatchOperation(HostDataset& dataset, std::shared_ptr<CpuTensor> images, std::shared_ptr<CpuTensor> labels,
                 const AugmentationSource& augmentation)
      : dataset_(dataset),
        tables_(byte_tables<T>(dataset.dataset())),
        images_(std::move(images)),
        labels_(std::move(labels)),
        augmentation_(augmentation),
        augments_(augments(augmentation, dataset.dataset().image)),
        varies_(augments_ && needs_variation(augmentation.options)) {
    check_view(augmentation.view, dataset.dataset().image);
    if (needs_affine(augmentation.options)) table_ = affine_table(augmentation.options);
  }

  void forward(Phase phase) override {
    const bool augmented = augments_ && phase == Phase::training;
    const bool viewed = phase == Phase::evaluation && augmentation_.view != ImageView{};
    const auto step = static_cast<std::uint32_t>(augmented ? augmentation_.counter->read() : 0);
    const auto samples = dataset_.next(labels_->integers().size());
    const auto count = static_cast<std::int64_t>(samples.size());
    const std::int64_t pixels = dataset_.dataset().image.count();
    T* const images = images_->template values<T>().data();
    std::int32_t* const labels = labels_->integers().data();
#pragma omp parallel for schedule(static) if (count * pixels >= kParallelFrom)
    for (std::int64_t n = 0; n < count; ++n) {
      const std::uint32_t sample = samples[static_cast<std::size_t>(n)];
      labels[n] = dataset_.dataset().labels[sample];
      if (n + 1 < count) fetch(samples[static_cast<std::size_t>(n) + 1]);
      if (viewed) {
        write_view(sample, images + n * pixels);
      } else if (augmented) {
        write_augmented(sample, images + n * pixels, step, static_cast<std::uint32_t>(n));
      } else {
        write_image(sample, images + n * pixels);
      }
    }
  }

  void backward() override {}  // bytes have no gradient

 private:
  /// Asks for the bytes of a sample. They come in no order that the processor could foresee.
  void fetch(std::uint32_t sample) const {
    constexpr std::int64_t kLine = 64;
    const std::uint8_t* const bytes = bytes_of(sample);
    for (std::int64_t i = 0; i < dataset_.dataset().image.count(); i += kLine) hwy::Prefetch(bytes + i);
  }

  /// Writes a sample's pixels [C, H, W], normalised.
  void write_image(std::uint32_t sample, T* out) const {
    const std::int64_t plane = dataset_.dataset().image[1] * dataset_.dataset().image[2];
    const std::uint8_t* bytes = bytes_of(sample);
    for (const ByteTable<T>& table : tables_) {
      for (std::int64_t p = 0; p < plane; ++p) *out++ = table[*bytes++];
    }
  }

  /// The same, shifted and flipped: line by line, the part inside the image between two edges.
  void write_image(std::uint32_t sample, T* out, const Augmentation& augmentation) const {
    const std::int64_t height = dataset_.dataset().image[1], width = dataset_.dataset().image[2];
    const std::int64_t begin = std::max<std::int64_t>(0, -augmentation.dx);
    const std::int64_t end = std::min<std::int64_t>(width, width - augmentation.dx);
    const std::uint8_t* plane = bytes_of(sample);
    for (const ByteTable<T>& table : tables_) {
      for (std::int64_t y = 0; y < height; ++y, out += width) {
        std::fill(out, out + width, table[0]);
        const std::int64_t from = y + augmentation.dy;
        if (from < 0 || from >= height) continue;
        const std::uint8_t* line = plane + from * width;
        for (std::int64_t x = begin; x < end; ++x) {
          const std::int64_t at = x + augmentation.dx;
          out[x] = table[line[augmentation.flip ? width - 1 - at : at]];
        }
      }
      plane += height * width;
    }
  }

  /// The same as row `row` of the batch of that step.
  void write_augmented(std::uint32_t sample, T* out, std::uint32_t step, std::uint32_t row) const {
    const AugmentationOptions& options = augmentation_.options;
    const RandomStream& random = augmentation_.random;
    const Augmentation move = augmentation_at(random, step, row, options);
    if (!varies_) {
      write_image(sample, out, move);
      return;
    }
    Variation variation;
    static_cast<Augmentation&>(variation) = move;
    if (options.flip == Flip::alternating) {
      variation.flip = alternating_flip(random, sample, dataset_.epoch());
    }
    const Shape& image = dataset_.dataset().image;
    const auto height = static_cast<std::int32_t>(image[1]), width = static_cast<std::int32_t>(image[2]);
    draw_variation(random, step, row, options, table_ ? &*table_ : nullptr, height, width, variation);
    write_varied(sample, out, variation, options.padding, /*turned=*/table_.has_value());
    if (options.cutout > 0) cut_out(out, variation);
  }

  void write_view(std::uint32_t sample, T* out) const {
    const ImageView& view = augmentation_.view;
    Variation variation;
    static_cast<Augmentation&>(variation) = {view.dy, view.dx, view.flip};
    write_varied(sample, out, variation, Padding::reflect, /*turned=*/false);
  }

  /// Pixel by pixel, as a GPU does it.
  void write_varied(std::uint32_t sample, T* out, const Variation& variation, Padding padding,
                    bool turned) const {
    const auto height = static_cast<std::int32_t>(dataset_.dataset().image[1]);
    const auto width = static_cast<std::int32_t>(dataset_.dataset().image[2]);
    ImagePlane plane = {bytes_of(sample), height, width, variation.flip, padding};
    for (const ByteTable<T>& table : tables_) {
      for (std::int32_t y = variation.dy; y < height + variation.dy; ++y) {
        for (std::int32_t x = variation.dx; x < width + variation.dx; ++x) {
          *out++ = table[turned ? plane.turned(variation.affine, y, x) : plane.at(y, x)];
        }
      }
      plane.pixels += std::int64_t{height} * width;
    }
  }

  /// Sets the square to 0 in every channel.
  void cut_out(T* out, const Variation& variation) const {
    const auto height = static_cast<std::int32_t>(dataset_.dataset().image[1]);
    const auto width = static_cast<std::int32_t>(dataset_.dataset().image[2]);
    const std::int32_t side = augmentation_.options.cutout;
    const std::int32_t top = std::max(variation.top, 0), bottom = std::min(variation.top + side, height);
    const std::int32_t left = std::max(variation.left, 0), right = std::min(variation.left + side, width);
    for (std::size_t c = 0; c < tables_.size(); ++c, out += std::int64_t{height} * width) {
      for (std::int32_t y = top; y < bottom; ++y) {
        std::fill(out + std::int64_t{y} * width + left, out + std::int64_t{y} * width + right, T{});
      }
    }
  }

  const std::uint8_t* bytes_of(std::uint32_t sample) const {
    const Dataset& source = dataset_.dataset();
    return source.pixels.data() + sample * source.image.count();
  }

  HostDataset& dataset_;
  std::vector<ByteTable<T>> tables_;  // one for each channel
  std::shared_ptr<CpuTensor> images_, labels_;
  const AugmentationSource augmentation_;
  const bool augments_;
  const bool varies_;                 // by more than a move over black
  std::optional<AffineTable> table_;  // of rotations and scalings, if there are any
};

}  // namespace

OperationPtr CpuBackend::make_batch(DeviceDataset& dataset, TensorPtr images, TensorPtr labels,
                                    const AugmentationSource& augmentation, StepCounter* counter) {
  auto& ours = own<HostDataset>("batch: the data set", dataset);
  auto bound_images = as_reals("batch: images", images);
  auto bound_labels = as_integers("batch: labels", labels);
  require_images("batch: images", bound_images->shape());
  const std::int64_t batch = bound_images->shape()[0];
  const Shape& image = ours.dataset().image;
  require_shape("batch: images", bound_images->shape(), {batch, image[0], image[1], image[2]});
  require_shape("batch: labels", bound_labels->shape(), {batch});
  if (bound_images->layout() != plain_layout(dims_of(bound_images->shape()), bound_images->type())) {
    throw UsageError("batch: the images must be a tensor of their own, not another operation's output");
  }
  return by_type(*bound_images, [&]<typename T>() -> OperationPtr {
    return counted(std::make_unique<BatchOperation<T>>(ours, std::move(bound_images), std::move(bound_labels),
                                                       augmentation),
                   counter);
  });
}

}  // namespace convoy::cpu
