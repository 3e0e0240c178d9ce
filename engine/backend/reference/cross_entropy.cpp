// Softmax cross-entropy and the metrics it counts into: the loss of a row is the sum over its classes of
// target (log(sum exp z) - z), and its gradient (softmax(z) - target) / N. The target is the label's one-hot
// vector, in training mixed with the uniform distribution (label smoothing).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"

namespace convoy::reference {
namespace {

/// The softmax of a row is exp(z - largest) / sum. The maximum is taken out so that no exponential overflows,
/// and kept apart from the sum, which it would swallow where it is large.
struct Softmax {
  double largest = 0.0;
  double sum = 0.0;

  double probability(double z) const { return std::exp(z - largest) / sum; }
  double loss(double z) const { return std::log(sum) + (largest - z); }
};

template <typename T>
Softmax softmax_of(std::span<const T> row) {
  Softmax softmax{.largest = *std::ranges::max_element(row)};
  for (const T z : row) softmax.sum += std::exp(z - softmax.largest);
  return softmax;
}

/// The first maximum; a NaN counts as the largest, as in torch.argmax.
template <typename T>
std::size_t arg_max(std::span<const T> row) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < row.size() && !std::isnan(row[best]); ++i) {
    if (row[i] > row[best] || std::isnan(row[i])) best = i;
  }
  return best;
}

template <typename T>
class CrossEntropyOperation final : public Operation {
 public:
  CrossEntropyOperation(Bound<T> logits, std::shared_ptr<LabelTensor> labels, HostMetrics& metrics,
                        std::int64_t mean_over, double label_smoothing)
      : classes_(static_cast<std::size_t>(cross_entropy_classes(logits.shape(), labels->shape()))),
        logits_(std::move(logits)),
        labels_(std::move(labels)),
        metrics_(metrics),
        mean_over_(mean_over > 0 ? mean_over : labels_->shape()[0]),
        label_smoothing_(label_smoothing),
        rows_(labels_->values().size()) {
    check_label_smoothing(label_smoothing);
  }

  void forward(Phase phase) override {
    const double smoothing = phase == Phase::training ? label_smoothing_ : 0.0;
    const auto labels = labels_->values();
    double loss = 0.0;
    std::int64_t correct = 0;
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const std::size_t label = checked(labels[n]);
      rows_[n] = softmax_of(row(n));
      loss += loss_of(n, label, smoothing);
      correct += arg_max(row(n)) == label;
    }
    const auto samples = static_cast<std::int64_t>(labels.size());
    metrics_.count(loss, correct, samples, mean_over_);
  }

  void backward() override {
    if (!logits_.wants_grad()) return;
    const auto labels = labels_->values();
    const auto gradient = logits_.grad();
    const auto samples = static_cast<double>(mean_over_);
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const std::size_t label = checked(labels[n]);
      for (std::size_t k = 0; k < classes_; ++k) {
        const double error = rows_[n].probability(row(n)[k]) - target(k == label, label_smoothing_);
        gradient[n * classes_ + k] = static_cast<T>(error / samples);
      }
    }
  }

 private:
  std::span<const T> row(std::size_t n) const { return logits_.value().subspan(n * classes_, classes_); }

  double target(bool is_label, double smoothing) const {
    return (is_label ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(classes_);
  }

  double loss_of(std::size_t n, std::size_t label, double smoothing) const {
    if (smoothing == 0.0) return rows_[n].loss(row(n)[label]);  // 0 times an infinite loss would be NaN
    double loss = 0.0;
    for (std::size_t k = 0; k < classes_; ++k)
      loss += target(k == label, smoothing) * rows_[n].loss(row(n)[k]);
    return loss;
  }

  std::size_t checked(std::int32_t label) const {
    if (label >= 0 && static_cast<std::size_t>(label) < classes_) return static_cast<std::size_t>(label);
    throw Error(fmt::format("cross-entropy: label {} is not one of {} classes", label, classes_));
  }

  std::size_t classes_;
  Bound<T> logits_;
  std::shared_ptr<LabelTensor> labels_;
  HostMetrics& metrics_;
  std::int64_t mean_over_;
  double label_smoothing_;
  std::vector<Softmax> rows_;  // from forward
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_cross_entropy(const Variable& logits, TensorPtr labels,
                                                     Metrics& metrics, std::int64_t mean_over,
                                                     double label_smoothing) {
  return std::make_unique<CrossEntropyOperation<T>>(
      Bound<T>("cross-entropy: logits", logits), as_labels("cross-entropy: labels", labels),
      own<HostMetrics>("cross-entropy: the metrics", metrics), mean_over, label_smoothing);
}

template OperationPtr ReferenceBackend<float>::make_cross_entropy(const Variable&, TensorPtr, Metrics&,
                                                                  std::int64_t, double);
template OperationPtr ReferenceBackend<double>::make_cross_entropy(const Variable&, TensorPtr, Metrics&,
                                                                   std::int64_t, double);

}  // namespace convoy::reference
