#include "apps/convoy/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace convoy {
namespace {

// The part of Student's distribution between -t and t, as the finite series in the cosine of
// theta = atan(t / sqrt(n)), which there is for whole n (Abramowitz and Stegun, 26.7.3 and 26.7.4).
double central_part(double t, std::int64_t degrees_of_freedom) {
  const double theta = std::atan(t / std::sqrt(static_cast<double>(degrees_of_freedom)));
  const double sine = std::sin(theta), cosine = std::cos(theta);
  const bool odd = degrees_of_freedom % 2 != 0;
  double term = odd ? cosine : 1.0, sum = degrees_of_freedom == 1 ? 0.0 : term;
  for (std::int64_t k = odd ? 3 : 2; k < degrees_of_freedom; k += 2) {
    term *= cosine * cosine * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return odd ? 2.0 / std::numbers::pi * (theta + sine * sum) : sine * sum;
}

}  // namespace

double student_t_95(std::int64_t degrees_of_freedom) {
  double low = 1.9, high = 13.0;  // 1.96 of infinitely many, 12.71 of one
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (central_part(middle, degrees_of_freedom) < 0.95 ? low : high) = middle;
  }
  return high;
}

MeanOf mean_of(std::span<const double> samples) {
  MeanOf result{.count = std::ssize(samples)};
  const auto count = static_cast<double>(result.count);
  for (const double sample : samples) result.mean += sample / count;
  if (result.count < 2) return result;
  double squares = 0.0;
  for (const double sample : samples) squares += (sample - result.mean) * (sample - result.mean);
  result.half_width = student_t_95(result.count - 1) * std::sqrt(squares / (count - 1) / count);
  return result;
}

double median_of(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 != 0 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

Json to_json(const MeanOf& mean) {
  return {{"count", mean.count},
          {"mean", mean.mean},
          {"low", mean.half_width ? Json(mean.low()) : Json()},
          {"high", mean.half_width ? Json(mean.high()) : Json()}};
}

std::string in_words(const MeanOf& mean, int digits) {
  const std::string middle = fmt::format("{:.{}f}", mean.mean, digits);
  return mean.half_width ? fmt::format("{} +- {:.{}f}", middle, *mean.half_width, digits) : middle;
}

}  // namespace convoy
