// What surrounds the layers in a step: batches, loss, counters. All of it stays on the device.
#include "engine/backend/checks.h"
#include "engine/backend/cuda/operations.h"
#include "engine/backend/cuda/owned.h"
#include "engine/core/error.h"
#include "kernels/batch.h"
#include "kernels/cross_entropy.h"
#include "kernels/cuda_error.h"
#include "kernels/metrics.h"

namespace convoy::cuda {
namespace {

class DeviceMetrics final : public Metrics {
 public:
  explicit DeviceMetrics(Context& context) : context_(context), memory_(sizeof(kernels::LossMetrics)) {}

  kernels::LossMetrics* data() const { return memory_.as<kernels::LossMetrics>(); }

  void reset() override { kernels::reset_metrics(data(), context_.stream()); }

  MetricsReading read() const override {
    kernels::LossMetrics metrics{};
    copy_to_host(&metrics, data(), sizeof metrics, context_.stream());
    return {metrics.last_loss, metrics.loss_sum, metrics.correct, metrics.samples};
  }

 private:
  Context& context_;
  Buffer memory_;
};

class DeviceCounter final : public StepCounter {
 public:
  explicit DeviceCounter(Context& context) : context_(context), memory_(sizeof(std::int64_t)) {}

  std::int64_t* data() const { return memory_.as<std::int64_t>(); }

  void increment() override { kernels::increment_step(data(), context_.stream()); }

  std::int64_t read() const override {
    std::int64_t step = 0;
    copy_to_host(&step, data(), sizeof step, context_.stream());
    return step;
  }

  void write(std::int64_t step) override { copy_to_device(data(), &step, sizeof step, context_.stream()); }

 private:
  Context& context_;
  Buffer memory_;
};

class DeviceDataset final : public ResidentDataset {
 public:
  DeviceDataset(Context& context, const Dataset& dataset)
      : context_(context),
        name_(dataset.name),
        image_(dataset.image),
        pixels_(dataset.pixels.size()),
        labels_(dataset.labels.size()),
        scales_(static_cast<std::size_t>(dataset.image[0]) * sizeof(ChannelScale)),
        order_(dataset.labels.size() * sizeof(std::uint32_t)),
        cursor_(sizeof(kernels::BatchCursor)) {
    check_dataset(dataset);
    const Normalization& normalization = dataset.normalization;
    std::vector<ChannelScale> scales;
    for (std::size_t c = 0; c < static_cast<std::size_t>(dataset.image[0]); ++c) {
      const double mean = normalization.mean[normalization.mean.size() == 1 ? 0 : c];
      const double std = normalization.std[normalization.std.size() == 1 ? 0 : c];
      scales.push_back({static_cast<float>(1.0 / (255.0 * std)), static_cast<float>(-mean / std)});
    }
    copy_to_device(pixels_.data(), dataset.pixels.data(), pixels_.bytes(), context.stream());
    copy_to_device(labels_.data(), dataset.labels.data(), labels_.bytes(), context.stream());
    copy_to_device(scales_.data(), scales.data(), scales_.bytes(), context.stream());
  }

  void set_order(std::span<const std::uint32_t> order) override {
    check_order(order, labels_.bytes(), name_);
    copy_to_device(order_.data(), order.data(), order.size_bytes(), context_.stream());
    const kernels::BatchCursor start{.position = 0, .length = std::ssize(order), .arrived = 0};
    copy_to_device(cursor_.data(), &start, sizeof start, context_.stream());
    ordered_ = true;
  }

  const Shape& image() const { return image_; }
  std::int64_t count() const { return static_cast<std::int64_t>(labels_.bytes()); }

  /// Throws Error if there is nothing to visit yet.
  kernels::BatchSource source() const {
    if (!ordered_) throw Error("a batch was asked for before the data set had an order");
    return {.pixels = pixels_.as<std::uint8_t>(),
            .labels = labels_.as<std::uint8_t>(),
            .scales = scales_.as<ChannelScale>(),
            .order = order_.as<std::uint32_t>(),
            .cursor = cursor_.as<kernels::BatchCursor>(),
            .channels = static_cast<std::int32_t>(image_[0]),
            .height = static_cast<std::int32_t>(image_[1]),
            .width = static_cast<std::int32_t>(image_[2])};
  }

 private:
  Context& context_;
  std::string name_;
  Shape image_;
  Buffer pixels_;
  Buffer labels_;
  Buffer scales_;
  Buffer order_;
  Buffer cursor_;
  bool ordered_ = false;
};

class BatchOperation final : public Operation {
 public:
  BatchOperation(Context& context, const DeviceDataset& dataset, const TensorPtr& images,
                 const TensorPtr& labels, const AugmentationSource& augmentation)
      : context_(context), dataset_(dataset), images_(images), labels_(labels) {
    const Shape& image = dataset.image();
    if (augments(augmentation, image)) {
      augmentation_ = {augmentation.options, augmentation.random, device_step(*augmentation.counter)};
    }
    const std::int64_t rows = images->shape()[0];
    require_shape("batch: images", images->shape(), {rows, image[0], image[1], image[2]});
    require_shape("batch: labels", labels->shape(), {rows});
  }

  void forward(Phase phase) override {
    kernels::assemble_batch(dataset_.source(),
                            {.images = device(images_).data(),
                             .element = device(images_).element(),
                             .labels = device(labels_).as<std::int32_t>(),
                             .rows = images_->shape()[0]},
                            phase == Phase::training ? augmentation_ : kernels::BatchAugmentation{},
                            context_.stream());
  }

  void backward() override {}  // bytes have no gradient

 private:
  Context& context_;
  const DeviceDataset& dataset_;
  TensorPtr images_;
  TensorPtr labels_;
  kernels::BatchAugmentation augmentation_;
};

class CrossEntropyOperation final : public Operation {
 public:
  CrossEntropyOperation(Context& context, const Variable& logits, const TensorPtr& labels,
                        const DeviceMetrics& metrics)
      : context_(context), logits_(logits), labels_(labels), metrics_(metrics) {
    classes_ = cross_entropy_classes(logits.value->shape(), labels->shape());
    results_ = Buffer(static_cast<std::size_t>(rows()) * sizeof(kernels::RowResult));
  }

  // One launch gives the loss and its gradient, so backward has nothing left to do.
  void forward(Phase phase) override {
    const bool gradient = logits_.grad && phase == Phase::training;
    kernels::cross_entropy({.logits = device(logits_.value).data(),
                            .dlogits = gradient ? device(logits_.grad).data() : nullptr,
                            .element = device(logits_.value).element(),
                            .labels = device(labels_).as<std::int32_t>(),
                            .results = results_.as<kernels::RowResult>(),
                            .rows = rows(),
                            .classes = classes_,
                            .metrics = metrics_.data()},
                           context_.stream());
  }

  void backward() override {}

 private:
  std::int64_t rows() const { return logits_.value->shape()[0]; }

  Context& context_;
  Variable logits_;
  TensorPtr labels_;
  const DeviceMetrics& metrics_;
  std::int64_t classes_ = 0;
  Buffer results_;
};

}  // namespace

const std::int64_t* device_step(const StepCounter& counter) {
  return own<const DeviceCounter>(counter).data();
}

OperationPtr make_cross_entropy(Context& context, const Variable& logits, const TensorPtr& labels,
                                Metrics& metrics) {
  return std::make_unique<CrossEntropyOperation>(context, logits, labels, own<DeviceMetrics>(metrics));
}

std::unique_ptr<Metrics> make_metrics(Context& context) { return std::make_unique<DeviceMetrics>(context); }

std::unique_ptr<StepCounter> make_counter(Context& context) {
  return std::make_unique<DeviceCounter>(context);
}

std::unique_ptr<ResidentDataset> upload(Context& context, const Dataset& dataset) {
  return std::make_unique<DeviceDataset>(context, dataset);
}

OperationPtr make_batch(Context& context, ResidentDataset& dataset, const TensorPtr& images,
                        const TensorPtr& labels, const AugmentationSource& augmentation) {
  return std::make_unique<BatchOperation>(context, own<DeviceDataset>(dataset), images, labels, augmentation);
}

}  // namespace convoy::cuda
