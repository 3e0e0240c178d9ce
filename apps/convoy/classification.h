// How well logits name their classes: loss, accuracy, and who is taken for whom.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace convoy {

/// Softmax of one row of logits, in double.
std::vector<double> softmax(std::span<const double> logits);

class Classification {
 public:
  /// `logits` [labels.size(), classes], row-major; every label is below `classes`. The largest logit wins,
  /// the first of equal ones.
  Classification(std::span<const double> logits, std::span<const std::uint8_t> labels, std::int64_t classes);

  double loss() const { return loss_; }  // mean cross-entropy
  double accuracy() const;               // 0 to 1

  /// Samples of class `truth` that were taken for `predicted`.
  std::int64_t count(std::size_t truth, std::size_t predicted) const {
    return confusion_[truth * classes_ + predicted];
  }
  std::int64_t samples_of(std::size_t truth) const;

  /// Right among those taken for `c`, right among those that are `c`; empty without any.
  std::optional<double> precision(std::size_t c) const;
  std::optional<double> recall(std::size_t c) const;

  std::size_t classes() const { return classes_; }

 private:
  std::size_t classes_;
  std::vector<std::int64_t> confusion_;  // [truth, predicted]
  double loss_ = 0.0;
};

}  // namespace convoy
