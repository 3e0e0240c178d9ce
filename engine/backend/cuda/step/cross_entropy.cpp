// The loss, and the metrics it counts into. All of it stays on the device.
#include "kernels/cross_entropy.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
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

  void write(const MetricsReading& reading) override {
    const kernels::LossMetrics metrics{.loss_sum = reading.loss_sum,
                                       .last_loss = reading.last_loss,
                                       .correct = reading.correct,
                                       .samples = reading.samples,
                                       .arrived = 0};
    copy_to_device(data(), &metrics, sizeof metrics, context_.stream());
  }

 private:
  Context& context_;
  Buffer memory_;
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
                            .dtype = device(logits_.value).dtype(),
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

std::unique_ptr<Metrics> CudaBackend::make_metrics() { return std::make_unique<DeviceMetrics>(context_); }

OperationPtr CudaBackend::make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics) {
  require_own("cross-entropy: logits", logits);
  return std::make_unique<CrossEntropyOperation>(context_, logits, labels,
                                                 own<DeviceMetrics>("cross-entropy: the metrics", metrics));
}

}  // namespace convoy::cuda
