// The data set on the device, and the operation that makes a batch of it.
#include "kernels/batch.h"

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/step/counter.h"
#include "kernels/affine_table.h"

namespace convoy::cuda {
namespace {

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

  void set_order(std::span<const std::uint32_t> order, std::int64_t begin, std::int64_t epoch) override {
    check_order(order, begin, labels_.bytes(), name_);
    copy_to_device(order_.data(), order.data(), order.size_bytes(), context_.stream());
    const kernels::BatchCursor start{
        .position = begin, .length = std::ssize(order), .epoch = epoch, .arrived = 0};
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
                 const TensorPtr& labels, const AugmentationSource& augmentation, StepCounter* counter)
      : context_(context), dataset_(dataset), images_(images), labels_(labels) {
    const Shape& image = dataset.image();
    if (augments(augmentation, image)) {
      training_ = {.options = augmentation.options,
                   .random = augmentation.random,
                   .step = device_step(*augmentation.counter)};
    }
    if (needs_affine(augmentation.options)) {
      const AffineTable table = affine_table(augmentation.options);
      table_ = Buffer(sizeof table);
      copy_to_device(table_.data(), &table, sizeof table, context.stream());
      training_.table = table_.as<AffineTable>();
    }
    if (augmentation.view != ImageView{}) {
      check_view(augmentation.view, image);
      const ImageView& view = augmentation.view;
      evaluation_ = {.options = {.padding = Padding::reflect}, .view = {view.dy, view.dx, view.flip}};
    }
    if (counter) begun_ = {device_scalars(*counter), device_table(*counter)};
    const std::int64_t rows = images->shape()[0];
    require_shape("batch: images", images->shape(), {rows, image[0], image[1], image[2]});
    require_shape("batch: labels", labels->shape(), {rows});
  }

  void forward(Phase phase) override {
    kernels::assemble_batch(dataset_.source(),
                            {.images = device(images_).data(),
                             .dtype = device(images_).dtype(),
                             .labels = device(labels_).as<std::int32_t>(),
                             .rows = images_->shape()[0]},
                            phase == Phase::training ? training_ : evaluation_, begun_, context_.stream());
  }

  void backward() override {}  // bytes have no gradient

 private:
  Context& context_;
  const DeviceDataset& dataset_;
  TensorPtr images_;
  TensorPtr labels_;
  Buffer table_;  // of rotations and scalings
  kernels::BatchAugmentation training_;
  kernels::BatchAugmentation evaluation_;
  kernels::BegunStep begun_;
};

}  // namespace

std::unique_ptr<ResidentDataset> CudaBackend::upload(const Dataset& dataset) {
  check_dataset(dataset);
  return std::make_unique<DeviceDataset>(context_, dataset);
}

OperationPtr CudaBackend::make_batch(ResidentDataset& dataset, TensorPtr images, TensorPtr labels,
                                     const AugmentationSource& augmentation, StepCounter* counter) {
  require_own("batch: images", images, context_.activation());
  require_own("batch: labels", labels, DType::int32);
  return std::make_unique<BatchOperation>(context_, own<DeviceDataset>("batch: the data set", dataset),
                                          images, labels, augmentation, counter);
}

}  // namespace convoy::cuda
