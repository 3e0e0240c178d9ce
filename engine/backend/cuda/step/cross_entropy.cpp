// The loss, which counts into the metrics. All of it stays on the device.
#include "kernels/cross_entropy.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/step/metrics.h"

namespace convoy::cuda {
namespace {

class CrossEntropyOperation final : public Operation {
 public:
  CrossEntropyOperation(Context& context, const Variable& logits, const TensorPtr& labels,
                        kernels::LossMetrics* metrics, std::int64_t mean_over, double label_smoothing)
      : context_(context),
        logits_(logits),
        labels_(labels),
        metrics_(metrics),
        mean_over_(mean_over),
        label_smoothing_(static_cast<float>(label_smoothing)) {
    check_label_smoothing(label_smoothing);
    classes_ = cross_entropy_classes(logits.value->shape(), labels->shape());
    rows_ = logits;
    if (!device(logits.value).order().row_major()) {  // a model that ends with the Flatten of a plane
      rows_ = {make_like(device(logits.value), {}),
               logits.grad ? make_like(device(logits.grad), {}) : nullptr};
    }
    results_ = Buffer(static_cast<std::size_t>(rows()) * sizeof(kernels::RowResult));
  }

  // One kernel gives the loss and its gradient, so backward has nothing left to do.
  void forward(Phase phase) override {
    const bool gradient = logits_.grad && phase == Phase::training;
    if (rows_.value != logits_.value) copy(device(logits_.value), device(rows_.value), context_.stream());
    kernels::cross_entropy({.logits = device(rows_.value).data(),
                            .dlogits = gradient ? device(rows_.grad).data() : nullptr,
                            .dtype = device(logits_.value).dtype(),
                            .labels = device(labels_).as<std::int32_t>(),
                            .results = results_.as<kernels::RowResult>(),
                            .rows = rows(),
                            .classes = classes_,
                            .mean_over = mean_over_,
                            .label_smoothing = phase == Phase::training ? label_smoothing_ : 0.0f,
                            .metrics = metrics_},
                           context_.stream());
    if (gradient && rows_.grad != logits_.grad) {
      copy(device(rows_.grad), device(logits_.grad), context_.stream());
    }
  }

  void backward() override {}

 private:
  std::int64_t rows() const { return logits_.value->shape()[0]; }

  Context& context_;
  Variable logits_;
  Variable rows_;  // the logits, row-major
  TensorPtr labels_;
  kernels::LossMetrics* metrics_;
  std::int64_t mean_over_;
  float label_smoothing_;
  std::int64_t classes_ = 0;
  Buffer results_;
};

}  // namespace

OperationPtr CudaBackend::make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics,
                                             std::int64_t mean_over, double label_smoothing) {
  require_own("cross-entropy: logits", logits, context_.activation());
  require_own("cross-entropy: labels", labels, DType::int32);
  return std::make_unique<CrossEntropyOperation>(context_, logits, labels, device_metrics(metrics), mean_over,
                                                 label_smoothing);
}

}  // namespace convoy::cuda
