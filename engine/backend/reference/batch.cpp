// The data set as bytes, and the operation that turns the next of them into a batch.
#include <fmt/format.h>

#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/operations.h"
#include "engine/core/error.h"

namespace convoy::reference {
namespace {

template <typename T>
class BatchOperation final : public Operation {
 public:
  BatchOperation(HostDataset& dataset, std::shared_ptr<RealTensor<T>> images,
                 std::shared_ptr<LabelTensor> labels)
      : dataset_(dataset), images_(std::move(images)), labels_(std::move(labels)) {}

  void forward(Phase) override {
    const Dataset& source = dataset_.dataset();
    const std::int64_t channels = source.image[0], plane = source.image[1] * source.image[2];
    const auto images = images_->values();
    const auto labels = labels_->values();
    std::int64_t out = 0;
    std::size_t row = 0;
    for (const std::int64_t sample : dataset_.next(labels.size())) {
      labels[row++] = source.labels[sample];
      for (std::int64_t c = 0; c < channels; ++c) {
        const double mean = at(source.normalization.mean, c), deviation = at(source.normalization.std, c);
        for (std::int64_t p = 0; p < plane; ++p) {
          const double byte = source.pixels[(sample * channels + c) * plane + p];
          images[out++] = static_cast<T>((byte / 255.0 - mean) / deviation);
        }
      }
    }
  }

  void backward() override {}  // bytes have no gradient

 private:
  static double at(const std::vector<float>& values, std::int64_t channel) {
    return values.size() == 1 ? values[0] : values[channel];
  }

  HostDataset& dataset_;
  std::shared_ptr<RealTensor<T>> images_;
  std::shared_ptr<LabelTensor> labels_;
};

}  // namespace

std::unique_ptr<ResidentDataset> upload(const Dataset& dataset) {
  return std::make_unique<HostDataset>(dataset);
}

template <typename T>
OperationPtr make_batch(ResidentDataset& dataset, const TensorPtr& images, const TensorPtr& labels,
                        const AugmentationSource& /*augmentation*/) {
  auto* const host_dataset = dynamic_cast<HostDataset*>(&dataset);
  if (!host_dataset) throw UsageError("batch: the data set was not uploaded by this backend");
  auto bound_images = as_real<T>("batch: images", images);
  auto bound_labels = as_labels("batch: labels", labels);
  require_images("batch: images", bound_images->shape());
  const std::int64_t batch = bound_images->shape()[0];
  const Shape& image = host_dataset->dataset().image;
  require_shape("batch: images", bound_images->shape(), {batch, image[0], image[1], image[2]});
  require_shape("batch: labels", bound_labels->shape(), {batch});
  return std::make_unique<BatchOperation<T>>(*host_dataset, std::move(bound_images), std::move(bound_labels));
}

template OperationPtr make_batch<float>(ResidentDataset&, const TensorPtr&, const TensorPtr&,
                                        const AugmentationSource&);
template OperationPtr make_batch<double>(ResidentDataset&, const TensorPtr&, const TensorPtr&,
                                         const AugmentationSource&);

}  // namespace convoy::reference
