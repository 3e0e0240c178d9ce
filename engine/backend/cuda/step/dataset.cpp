#include "engine/backend/cuda/step/dataset.h"

#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

std::vector<ChannelScale> scales_of(const Dataset& dataset) {
  const Normalization& normalization = dataset.normalization;
  std::vector<ChannelScale> scales;
  for (std::size_t c = 0; c < static_cast<std::size_t>(dataset.image[0]); ++c) {
    const double mean = normalization.mean[normalization.mean.size() == 1 ? 0 : c];
    const double std = normalization.std[normalization.std.size() == 1 ? 0 : c];
    scales.push_back({static_cast<float>(1.0 / (255.0 * std)), static_cast<float>(-mean / std)});
  }
  return scales;
}

class ResidentDataset final : public CudaDataset {
 public:
  ResidentDataset(Context& context, const Dataset& dataset)
      : CudaDataset(context, dataset, dataset.labels.size()),
        pixels_(dataset.pixels.size()),
        labels_(dataset.labels.size()) {
    copy_to_device(pixels_.data(), dataset.pixels.data(), pixels_.bytes(), context.stream());
    copy_to_device(labels_.data(), dataset.labels.data(), labels_.bytes(), context.stream());
  }

  void set_order(std::span<const std::uint32_t> order, std::int64_t begin, std::int64_t epoch) override {
    check_order(order, begin, labels_.bytes(), name());
    copy_to_device(this->order(), order.data(), order.size_bytes(), context().stream());
    set_cursor(begin, std::ssize(order), epoch);
  }

 private:
  kernels::BatchSource samples_on_device() const override {
    return {.pixels = pixels_.as<std::uint8_t>(), .labels = labels_.as<std::uint8_t>()};
  }

  Buffer pixels_;
  Buffer labels_;
};

}  // namespace

CudaDataset::CudaDataset(Context& context, const Dataset& dataset, std::size_t entries)
    : context_(context),
      name_(dataset.name),
      image_(dataset.image),
      scales_(static_cast<std::size_t>(dataset.image[0]) * sizeof(ChannelScale)),
      order_(entries * sizeof(std::uint32_t)),
      cursor_(sizeof(kernels::BatchCursor)) {
  const std::vector<ChannelScale> scales = scales_of(dataset);
  copy_to_device(scales_.data(), scales.data(), scales_.bytes(), context.stream());
}

kernels::BatchSource CudaDataset::source() const {
  if (!ordered_) throw Error("a batch was asked for before the data set had an order");
  kernels::BatchSource source = samples_on_device();
  source.scales = scales_.as<ChannelScale>();
  source.order = order_.as<std::uint32_t>();
  if (!source.numbers) source.numbers = source.order;
  source.cursor = cursor_.as<kernels::BatchCursor>();
  source.channels = static_cast<std::int32_t>(image_[0]);
  source.height = static_cast<std::int32_t>(image_[1]);
  source.width = static_cast<std::int32_t>(image_[2]);
  return source;
}

void CudaDataset::set_cursor(std::int64_t position, std::int64_t length, std::int64_t epoch) {
  const kernels::BatchCursor start{.position = position, .length = length, .epoch = epoch, .arrived = 0};
  copy_to_device(cursor_.data(), &start, sizeof start, context_.stream());
  ordered_ = true;
}

std::unique_ptr<CudaDataset> make_resident(Context& context, const Dataset& dataset) {
  return std::make_unique<ResidentDataset>(context, dataset);
}

}  // namespace convoy::cuda
