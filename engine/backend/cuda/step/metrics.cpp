#include "engine/backend/cuda/step/metrics.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"

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
    return reading_of(metrics);
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

}  // namespace

const kernels::LossMetrics* device_metrics(const Metrics& metrics) {
  return own<const DeviceMetrics>("the metrics", metrics).data();
}

kernels::LossMetrics* device_metrics(Metrics& metrics) {
  return own<DeviceMetrics>("the metrics", metrics).data();
}

MetricsReading reading_of(const kernels::LossMetrics& metrics) {
  return {metrics.last_loss, metrics.loss_sum, metrics.correct, metrics.samples};
}

std::unique_ptr<Metrics> CudaBackend::make_metrics() { return std::make_unique<DeviceMetrics>(context_); }

}  // namespace convoy::cuda
