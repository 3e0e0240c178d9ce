#include "tests/backend/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

namespace convoy {
namespace {

double distance(double actual, double expected) {
  if (actual == expected || (std::isnan(actual) && std::isnan(expected))) return 0.0;
  const double difference = std::abs(actual - expected);
  return std::isfinite(difference) ? difference : std::numeric_limits<double>::infinity();
}

double largest_finite(const Values& values) {
  double largest = 0.0;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

class NearMatcher {
 public:
  using is_gtest_matcher = void;

  NearMatcher(Values expected, double tolerance) : expected_(std::move(expected)), tolerance_(tolerance) {}

  bool MatchAndExplain(const Values& actual, std::ostream* out) const {
    if (actual.size() != expected_.size()) {
      if (out) *out << fmt::format("which has {} elements, not {}", actual.size(), expected_.size());
      return false;
    }
    std::size_t worst = 0, misses = 0;
    double worst_distance = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const double d = distance(actual[i], expected_[i]);
      if (!(d <= tolerance_)) ++misses;
      if (d > worst_distance) {
        worst = i;
        worst_distance = d;
      }
    }
    if (misses == 0) return true;
    if (out) {
      *out << fmt::format(
          "where {} of {} elements miss; the worst is [{}]: {:.17g}, expected {:.17g}, off by {:.3g}", misses,
          actual.size(), worst, actual[worst], expected_[worst], worst_distance);
    }
    return false;
  }

  void DescribeTo(std::ostream* out) const {
    *out << fmt::format("is within {:.3g} of {} expected values", tolerance_, expected_.size());
  }
  void DescribeNegationTo(std::ostream* out) const {
    *out << fmt::format("is not within {:.3g} of {} expected values", tolerance_, expected_.size());
  }

 private:
  Values expected_;
  double tolerance_;
};

}  // namespace

testing::Matcher<const Values&> Exactly(Values expected) { return NearMatcher(std::move(expected), 0.0); }

testing::Matcher<const Values&> Near(Values expected, double tolerance) {
  return NearMatcher(std::move(expected), tolerance);
}

testing::Matcher<const Values&> RelativelyNear(Values expected, double tolerance) {
  const double scale = largest_finite(expected);
  return NearMatcher(std::move(expected), tolerance * scale);
}

}  // namespace convoy
