// Softmax cross-entropy and the metrics it counts into: loss = log(sum exp z) - z[label], and its gradient is
// (softmax(z) - onehot(label)) / N. A batch's logits are few: the loops run on one thread.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/host_backend.h"

namespace convoy::cpu {
namespace {

/// The first maximum; a NaN counts as the largest, as in torch.argmax.
std::size_t arg_max(std::span<const float> row) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < row.size() && !std::isnan(row[best]); ++k) {
    if (row[k] > row[best] || std::isnan(row[k])) best = k;
  }
  return best;
}

class CrossEntropyOperation final : public Operation {
 public:
  CrossEntropyOperation(Device& device, Bound logits, std::shared_ptr<CpuTensor> labels, HostMetrics& metrics,
                        std::int64_t mean_over)
      : logits_(std::move(logits)),
        labels_(std::move(labels)),
        metrics_(metrics),
        mean_over_(mean_over > 0 ? mean_over : labels_->shape()[0]),
        classes_(static_cast<std::size_t>(cross_entropy_classes(logits_.shape(), labels_->shape()))),
        input_(Relaid::input(device, logits_.value->memory(), plain_layout(logits_.shape()))),
        probabilities_(labels_->integers().size() * classes_) {
    if (!logits_.grad) return;
    gradient_ = Relaid::output(device, logits_.grad->memory(), plain_layout(logits_.shape()));
  }

  void forward(Phase) override {
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
      loss += softmax(row, row[best], probabilities_.data() + n * classes_) - double{row[label] - row[best]};
    }
    metrics_.count(loss, correct, static_cast<std::int64_t>(labels.size()), mean_over_);
  }

  void backward() override {
    if (!gradient_) return;
    auto* const gradient = static_cast<float*>(gradient_->memory().get_data_handle());
    const auto labels = labels_->integers();
    const float scale = 1.0f / static_cast<float>(mean_over_);
    for (std::size_t i = 0; i < probabilities_.size(); ++i) gradient[i] = probabilities_[i] * scale;
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const std::size_t target = n * classes_ + static_cast<std::size_t>(labels[n]);
      gradient[target] = (probabilities_[target] - 1.0f) * scale;
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

  std::size_t checked(std::int32_t label) const {
    if (label >= 0 && static_cast<std::size_t>(label) < classes_) return static_cast<std::size_t>(label);
    throw Error(fmt::format("cross-entropy: label {} is not one of {} classes", label, classes_));
  }

  Bound logits_;
  std::shared_ptr<CpuTensor> labels_;
  HostMetrics& metrics_;
  std::int64_t mean_over_;
  std::size_t classes_;
  Relaid input_;                    // the logits, row-major
  std::optional<Relaid> gradient_;  // theirs
  std::vector<float> probabilities_;
};

}  // namespace

OperationPtr CpuBackend::make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics,
                                            std::int64_t mean_over) {
  return std::make_unique<CrossEntropyOperation>(
      device_, Bound("cross-entropy: logits", logits), as_integers("cross-entropy: labels", labels),
      own<HostMetrics>("cross-entropy: the metrics", metrics), mean_over);
}

}  // namespace convoy::cpu
