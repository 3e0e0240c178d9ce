// The data set as bytes, and the operation that turns the next of them into a batch.
#include <fmt/format.h>

#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"

namespace convoy::reference {
namespace {

/// How one row of a batch is shifted and flipped.
struct Draw {
  std::int64_t dy = 0, dx = 0;
  bool flip = false;
};

/// What kernels/batch_math.h says in words, without its code.
Draw draw_of(const AugmentationSource& augmentation, std::size_t row) {
  const auto step = static_cast<std::uint32_t>(augmentation.counter->read());
  const Philox4 random = philox(
      augmentation.random.seed,
      {{static_cast<std::uint32_t>(augmentation.random.first + row), 0, step, augmentation.random.stream}});
  const std::int64_t most = augmentation.options.max_shift;
  const auto shift = [&](std::uint32_t word) {
    const std::uint64_t product = std::uint64_t{word} * static_cast<std::uint64_t>(2 * most + 1);
    return static_cast<std::int64_t>(product / 4294967296u) - most;  // 2^32
  };
  return {shift(random.word[0]), shift(random.word[1]),
          augmentation.options.flip && random.word[2] >= 2147483648u};
}

template <typename T>
class BatchOperation final : public Operation {
 public:
  BatchOperation(HostDataset& dataset, std::shared_ptr<RealTensor<T>> images,
                 std::shared_ptr<LabelTensor> labels, const AugmentationSource& augmentation)
      : dataset_(dataset),
        images_(std::move(images)),
        labels_(std::move(labels)),
        augmentation_(augmentation),
        augments_(augments(augmentation, dataset.dataset().image)) {}

  void forward(Phase phase) override {
    const Dataset& source = dataset_.dataset();
    const Shape& image = source.image;
    const auto images = images_->values();
    const auto labels = labels_->values();
    std::int64_t out = 0;
    std::size_t row = 0;
    for (const std::int64_t sample : dataset_.next(labels.size())) {
      const Draw draw = augments_ && phase == Phase::training ? draw_of(augmentation_, row) : Draw{};
      labels[row++] = source.labels[sample];
      for (std::int64_t c = 0; c < image[0]; ++c) {
        const double mean = at(source.normalization.mean, c), deviation = at(source.normalization.std, c);
        for (std::int64_t y = 0; y < image[1]; ++y) {
          for (std::int64_t x = 0; x < image[2]; ++x) {
            const double byte = byte_at(sample, c, y, x, draw);
            images[out++] = static_cast<T>((byte / 255.0 - mean) / deviation);
          }
        }
      }
    }
  }

  void backward() override {}  // bytes have no gradient

 private:
  static double at(const std::vector<float>& values, std::int64_t channel) {
    return values.size() == 1 ? values[0] : values[channel];
  }

  /// Pixel (y, x) of the sample as the draw leaves it: flipped first, then shifted; 0 beyond its edge.
  std::uint8_t byte_at(std::int64_t sample, std::int64_t c, std::int64_t y, std::int64_t x,
                       const Draw& draw) const {
    const Shape& image = dataset_.dataset().image;
    const std::int64_t height = image[1], width = image[2];
    y += draw.dy;
    x += draw.dx;
    if (y < 0 || y >= height || x < 0 || x >= width) return 0;
    if (draw.flip) x = width - 1 - x;
    return dataset_.dataset().pixels[((sample * image[0] + c) * height + y) * width + x];
  }

  HostDataset& dataset_;
  std::shared_ptr<RealTensor<T>> images_;
  std::shared_ptr<LabelTensor> labels_;
  AugmentationSource augmentation_;
  bool augments_;
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_batch(ResidentDataset& dataset, TensorPtr images, TensorPtr labels,
                                             const AugmentationSource& augmentation, StepCounter* counter) {
  auto& host_dataset = own<HostDataset>("batch: the data set", dataset);
  auto bound_images = as_real<T>("batch: images", images);
  auto bound_labels = as_labels("batch: labels", labels);
  require_images("batch: images", bound_images->shape());
  const std::int64_t batch = bound_images->shape()[0];
  const Shape& image = host_dataset.dataset().image;
  require_shape("batch: images", bound_images->shape(), {batch, image[0], image[1], image[2]});
  require_shape("batch: labels", bound_labels->shape(), {batch});
  return counted(std::make_unique<BatchOperation<T>>(host_dataset, std::move(bound_images),
                                                     std::move(bound_labels), augmentation),
                 counter);
}

template OperationPtr ReferenceBackend<float>::make_batch(ResidentDataset&, TensorPtr, TensorPtr,
                                                          const AugmentationSource&, StepCounter*);
template OperationPtr ReferenceBackend<double>::make_batch(ResidentDataset&, TensorPtr, TensorPtr,
                                                           const AugmentationSource&, StepCounter*);

}  // namespace convoy::reference
