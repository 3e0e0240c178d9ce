// How well logits predict the labels: loss, accuracy, confusion matrix, precision and recall.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace convoy {

/// Softmax of one row of logits, in double.
std::vector<double> softmax(std::span<const double> logits);

/// A sample that was taken for another class.
struct Mistake {
  std::size_t sample, truth, predicted;
  double probability;           // of the predicted class; NaN where logits are not finite
  double probability_of_truth;  // of the right one, likewise
};

/// All mistakes among the samples, first those with the largest probability of the wrong class, or without
/// any since their logits are not finite. `logits` is [labels.size(), classes], row-major, and every label
/// below `classes`.
std::vector<Mistake> surest_mistakes(std::span<const double> logits, std::span<const std::uint8_t> labels,
                                     std::size_t classes);

class Classification {
 public:
  /// `logits` is [labels.size(), classes], row-major. Every label is below `classes`. The predicted class is
  /// the one with the largest logit, the first if several are equal.
  Classification(std::span<const double> logits, std::span<const std::uint8_t> labels, std::int64_t classes);

  double loss() const { return loss_; }  // mean cross-entropy
  double accuracy() const;               // 0 to 1

  /// The number of samples of class `truth` for which `predicted` was predicted.
  std::int64_t count(std::size_t truth, std::size_t predicted) const {
    return confusion_[truth * classes_ + predicted];
  }
  std::int64_t samples_of(std::size_t truth) const;

  /// Of the samples predicted as `c`, and of the samples of class `c`: the fraction that is right. Empty if
  /// there are no such samples.
  std::optional<double> precision(std::size_t c) const;
  std::optional<double> recall(std::size_t c) const;

  std::size_t classes() const { return classes_; }

 private:
  std::size_t classes_;
  std::vector<std::int64_t> confusion_;  // [truth, predicted]
  double loss_ = 0.0;
};

}  // namespace convoy
