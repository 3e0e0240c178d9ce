// The data set as bytes, and the operation that turns the next of them into a batch.
#include <fmt/format.h>

#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/operations.h"
#include "engine/core/error.h"

namespace convoy::reference {
namespace {

class HostDataset final : public ResidentDataset {
 public:
  explicit HostDataset(const Dataset& dataset) : dataset_(dataset) { order_.reserve(dataset.labels.size()); }

  void set_order(std::span<const std::uint32_t> order) override {
    for (const std::uint32_t sample : order) {
      if (sample < dataset_.labels.size()) continue;
      throw UsageError(fmt::format("{}: the order asks for sample {} of {}", dataset_.name, sample,
                                   dataset_.labels.size()));
    }
    order_.assign(order.begin(), order.end());
    cursor_ = 0;
  }

  /// The indices of the next `count` samples. Throws Error if the order has fewer left.
  std::span<const std::uint32_t> next(std::size_t count) {
    if (count > order_.size() - cursor_) {
      throw Error(
          fmt::format("{}: a batch of {} asked for, but {} of {} samples are left; set the order again",
                      dataset_.name, count, order_.size() - cursor_, order_.size()));
    }
    cursor_ += count;
    return std::span<const std::uint32_t>(order_).subspan(cursor_ - count, count);
  }

  const Dataset& dataset() const { return dataset_; }

 private:
  Dataset dataset_;
  std::vector<std::uint32_t> order_;
  std::size_t cursor_ = 0;
};

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
  check_dataset(dataset);
  return std::make_unique<HostDataset>(dataset);
}

template <typename T>
OperationPtr make_batch(ResidentDataset& dataset, const TensorPtr& images, const TensorPtr& labels) {
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

template OperationPtr make_batch<float>(ResidentDataset&, const TensorPtr&, const TensorPtr&);
template OperationPtr make_batch<double>(ResidentDataset&, const TensorPtr&, const TensorPtr&);

}  // namespace convoy::reference
