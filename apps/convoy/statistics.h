// What several trainings say together: mean, median, and the interval of a mean.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "apps/convoy/terminal.h"

namespace convoy {

/// The t of Student's distribution with so many degrees of freedom (at least 1) between whose negative and
/// itself 95 % of it lie: 12.706 for 1, 2.262 for 9.
double student_t_95(std::int64_t degrees_of_freedom);

/// A mean of samples, and how far from it the 95 % interval reaches to both sides: t(n - 1) s / sqrt(n).
struct MeanOf {
  std::int64_t count = 0;
  double mean = 0.0;
  std::optional<double> half_width;  // nothing of fewer than two samples

  double low() const { return mean - half_width.value_or(0.0); }
  double high() const { return mean + half_width.value_or(0.0); }
};

/// Of at least one sample.
MeanOf mean_of(std::span<const double> samples);

/// Of at least one sample.
double median_of(std::span<const double> samples);

/// {"count": 8, "mean": 98.9, "low": 98.8, "high": 99.0}; low and high are null without an interval.
Json to_json(const MeanOf& mean);

/// "98.91 +- 0.08" with so many digits behind the point; of one sample without the half width.
std::string in_words(const MeanOf& mean, int digits);

}  // namespace convoy
