#include "apps/convoy/classification.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/core/arg_max.h"

namespace convoy {

std::vector<double> softmax(std::span<const double> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> probabilities;
  for (const double logit : logits) probabilities.push_back(std::exp(logit - largest));
  const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

std::vector<Mistake> surest_mistakes(std::span<const double> logits, std::span<const std::uint8_t> labels,
                                     std::size_t classes) {
  std::vector<Mistake> mistakes;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * classes, classes);
    const std::size_t best = arg_max(row);
    if (best == labels[i]) continue;
    const std::vector<double> probabilities = softmax(row);
    mistakes.push_back({i, labels[i], best, probabilities[best], probabilities[labels[i]]});
  }
  // Above all probabilities is the NaN of logits that are not finite.
  const auto place = [](const Mistake& m) { return std::isnan(m.probability) ? 2.0 : m.probability; };
  std::ranges::stable_sort(mistakes, std::greater{}, place);
  return mistakes;
}

Classification::Classification(std::span<const double> logits, std::span<const std::uint8_t> labels,
                               std::int64_t classes)
    : classes_(static_cast<std::size_t>(classes)), confusion_(classes_ * classes_, 0) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * classes_, classes_);
    const std::size_t best = arg_max(row);
    double sum = 0.0;
    for (const double logit : row) sum += std::exp(logit - row[best]);
    loss_ += std::log(sum) + row[best] - row[labels[i]];
    ++confusion_[labels[i] * classes_ + best];
  }
  loss_ /= static_cast<double>(labels.size());
}

double Classification::accuracy() const {
  std::int64_t right = 0;
  for (std::size_t c = 0; c < classes_; ++c) right += count(c, c);
  const auto all = std::accumulate(confusion_.begin(), confusion_.end(), std::int64_t{0});
  return static_cast<double>(right) / static_cast<double>(all);
}

std::int64_t Classification::samples_of(std::size_t truth) const {
  std::int64_t sum = 0;
  for (std::size_t predicted = 0; predicted < classes_; ++predicted) sum += count(truth, predicted);
  return sum;
}

std::optional<double> Classification::precision(std::size_t c) const {
  std::int64_t taken = 0;
  for (std::size_t truth = 0; truth < classes_; ++truth) taken += count(truth, c);
  if (taken == 0) return std::nullopt;
  return static_cast<double>(count(c, c)) / static_cast<double>(taken);
}

std::optional<double> Classification::recall(std::size_t c) const {
  const std::int64_t samples = samples_of(c);
  if (samples == 0) return std::nullopt;
  return static_cast<double>(count(c, c)) / static_cast<double>(samples);
}

}  // namespace convoy
