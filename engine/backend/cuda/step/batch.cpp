// The operation that makes a batch of a data set.
#include <algorithm>
#include <optional>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/step/counter.h"
#include "engine/backend/cuda/step/dataset.h"
#include "kernels/affine_table.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

class BatchOperation final : public Operation {
 public:
  BatchOperation(Context& context, const CudaDataset& dataset, const TensorPtr& images,
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
    dataset.require_rows(rows);
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
  const CudaDataset& dataset_;
  TensorPtr images_;
  TensorPtr labels_;
  Buffer table_;  // of rotations and scalings
  kernels::BatchAugmentation training_;
  kernels::BatchAugmentation evaluation_;
  kernels::BegunStep begun_;
};

}  // namespace

namespace {

// The bytes of device memory through which the images are streamed; nothing if they may all lie there.
// Without a limit by the user half of what is free is left to activations, workspaces and a second data set.
std::optional<std::int64_t> streaming_memory(const Dataset& dataset, std::optional<std::int64_t> limit) {
  constexpr std::int64_t kTwoBlocks = std::int64_t{2} << 30;  // the host page-locks as much
  if (limit) return std::ssize(dataset.pixels) <= *limit ? std::nullopt : limit;
  std::size_t free = 0, total = 0;
  CONVOY_CUDA(cudaMemGetInfo(&free, &total));
  const auto half = static_cast<std::int64_t>(free / 2);
  if (std::ssize(dataset.pixels) <= half) return std::nullopt;
  return std::min(half, kTwoBlocks);
}

}  // namespace

std::unique_ptr<DeviceDataset> CudaBackend::upload(const Dataset& dataset) {
  check_dataset(dataset);
  const auto bytes = streaming_memory(dataset, context_.options().data_memory);
  return bytes ? make_streamed(context_, dataset, *bytes) : make_resident(context_, dataset);
}

OperationPtr CudaBackend::make_batch(DeviceDataset& dataset, TensorPtr images, TensorPtr labels,
                                     const AugmentationSource& augmentation, StepCounter* counter) {
  require_own("batch: images", images, context_.activation());
  require_own("batch: labels", labels, DType::int32);
  return std::make_unique<BatchOperation>(context_, own<CudaDataset>("batch: the data set", dataset), images,
                                          labels, augmentation, counter);
}

}  // namespace convoy::cuda
