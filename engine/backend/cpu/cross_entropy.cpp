// Softmax cross-entropy and the metrics it counts into: loss = log(sum exp z) - z[label], and its gradient is
// (softmax(z) - onehot(label)) / N. With label smoothing s the loss has 1 - s of that and s of the mean over
// all labels. A batch's logits are few: the loops run on one thread.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/host_backend.h"
#include "engine/core/arg_max.h"

namespace convoy::cpu {
namespace {

class CrossEntropyOperation final : public Operation {
 public:
  CrossEntropyOperation(Device& device, Bound logits, std::shared_ptr<CpuTensor> labels, HostMetrics& metrics,
                        std::int64_t mean_over, double label_smoothing)
      : logits_(std::move(logits)),
        labels_(std::move(labels)),
        metrics_(metrics),
        mean_over_(mean_over > 0 ? mean_over : labels_->shape()[0]),
        label_smoothing_(label_smoothing),
        classes_(static_cast<std::size_t>(cross_entropy_classes(logits_.shape(), labels_->shape()))),
        input_(Relaid::input(device, logits_.value->memory(), plain_layout(logits_.shape()))),
        probabilities_(labels_->integers().size() * classes_) {
    check_label_smoothing(label_smoothing);
    if (!logits_.grad) return;
    gradient_ = Relaid::output(device, logits_.grad->memory(), plain_layout(logits_.shape()));
  }

  void forward(Phase phase) override {
    const double smoothing = phase == Phase::training ? label_smoothing_ : 0.0;
    input_.copy();
    const auto* const logits = static_cast<const float*>(input_.memory().get_data_handle());
    const auto labels = labels_->integers();
    double loss = 0.0;
    std::int64_t correct = 0;
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const std::span<const float> row(logits + n * classes_, classes_);
      const std::size_t label = checked(labels[n]);
      const std::size_t best = arg_max(row);
      correct += best == label;
      loss += softmax(row, row[best], probabilities_.data() + n * classes_) +
              gap(row, label, row[best], smoothing);
    }
    metrics_.count(loss, correct, static_cast<std::int64_t>(labels.size()), mean_over_);
  }

  void backward() override {
    if (!gradient_) return;
    auto* const gradient = static_cast<float*>(gradient_->memory().get_data_handle());
    const auto labels = labels_->integers();
    const float scale = 1.0f / static_cast<float>(mean_over_);
    const double uniform = label_smoothing_ / static_cast<double>(classes_);
    const auto of_others = static_cast<float>(uniform);
    const auto of_label = static_cast<float>(1.0 - label_smoothing_ + uniform);
    for (std::size_t i = 0; i < probabilities_.size(); ++i)
      gradient[i] = (probabilities_[i] - of_others) * scale;
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const std::size_t target = n * classes_ + static_cast<std::size_t>(labels[n]);
      gradient[target] = (probabilities_[target] - of_label) * scale;
    }
    gradient_->copy();
  }

 private:
  /// Writes softmax(row), returns log(sum exp(row - largest)). Without the largest no exponential overflows.
  static double softmax(std::span<const float> row, float largest, float* probabilities) {
    float sum = 0.0f;
    for (std::size_t k = 0; k < row.size(); ++k) sum += probabilities[k] = std::exp(row[k] - largest);
    for (std::size_t k = 0; k < row.size(); ++k) probabilities[k] /= sum;
    return std::log(double{sum});
  }

  /// How far the largest logit is above the label's, smoothed.
  static double gap(std::span<const float> row, std::size_t label, float largest, double smoothing) {
    const double of_label{largest - row[label]};
    if (smoothing == 0.0) return of_label;  // 0 times an infinite gap would be NaN
    double sum = 0.0;
    for (const float logit : row) sum += double{largest - logit};
    return (1.0 - smoothing) * of_label + smoothing / static_cast<double>(row.size()) * sum;
  }

  std::size_t checked(std::int32_t label) const {
    if (label >= 0 && static_cast<std::size_t>(label) < classes_) return static_cast<std::size_t>(label);
    throw Error(fmt::format("cross-entropy: label {} is not one of {} classes", label, classes_));
  }

  Bound logits_;
  std::shared_ptr<CpuTensor> labels_;
  HostMetrics& metrics_;
  std::int64_t mean_over_;
  double label_smoothing_;
  std::size_t classes_;
  Relaid input_;                    // the logits, row-major
  std::optional<Relaid> gradient_;  // theirs
  std::vector<float> probabilities_;
};

}  // namespace

OperationPtr CpuBackend::make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics,
                                            std::int64_t mean_over, double label_smoothing) {
  return std::make_unique<CrossEntropyOperation>(
      device_, Bound("cross-entropy: logits", logits), as_integers("cross-entropy: labels", labels),
      own<HostMetrics>("cross-entropy: the metrics", metrics), mean_over, label_smoothing);
}

}  // namespace convoy::cpu
