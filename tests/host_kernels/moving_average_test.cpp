#include "kernels/moving_average.h"

#include <cmath>

#include "kernels/moving_average_math.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

/// An arena and its means, and what a kernel sees of them.
struct Arena {
  std::vector<float> means, values;
  std::vector<__nv_bfloat16> copies;

  Arena(std::int64_t count, bool with_copies, std::uint32_t stream)
      : means(uniform(count, -1, 1, stream)), values(uniform(count, -1, 1, stream + 1)) {
    if (with_copies) copies.resize(values.size());
  }
  AveragedArena view() {
    return {means.data(), values.data(), copies.empty() ? nullptr : copies.data(),
            static_cast<std::int64_t>(values.size())};
  }
};

struct Both {
  Arena parameters, statistics;
  Both(std::int64_t parameters_count, std::int64_t statistics_count)
      : parameters(parameters_count, true, 1), statistics(statistics_count, false, 3) {}

  MovingAverageArenas view(const std::int64_t& step, const std::int64_t& begun, float weight) {
    return {parameters.view(), statistics.view(), weight, &step, &begun};
  }
};

constexpr std::int64_t kCounts[][2] = {{0, 0}, {0, 5}, {7, 0}, {8, 16}, {1025, 3}, {3001, 1030}};

TEST(MovingAverage, BeginsWithTheValuesAndMovesTowardsThem) {
  for (const auto& [first, second] : kCounts) {
    for (const float weight : {0.001f, 0.25f, 0.75f}) {
      for (const std::int64_t step : {1, 5, 6}) {
        SCOPED_TRACE(testing::Message() << first << " and " << second << " in step " << step);
        const std::int64_t begun = 4;
        const auto run = [&] {
          Both both(first, second);
          moving_average_update(both.view(step, begun, weight), nullptr);
          std::vector<float> all = both.parameters.means;
          all.insert(all.end(), both.statistics.means.begin(), both.statistics.means.end());
          EXPECT_EQ(both.parameters.values, Both(first, second).parameters.values);
          EXPECT_EQ(both.statistics.values, Both(first, second).statistics.values);
          return all;
        };
        const std::vector<float> means = in_every_order(run);
        Both before(first, second);
        std::vector<float> expected;
        for (const Arena* arena : {&before.parameters, &before.statistics}) {
          for (std::size_t i = 0; i < arena->means.size(); ++i) {
            expected.push_back(moved_average(arena->means[i], arena->values[i], step == 5 ? 1.0f : weight));
          }
        }
        EXPECT_EQ(means, expected);
      }
    }
  }
}

TEST(MovingAverage, IsWithinItsRoundingsOfTheFormula) {
  for (const float weight : {0.001f, 0.25f, 0.5f, 0.75f, 1.0f}) {
    for (const float mean : uniform(100, -1, 1, 1)) {
      const float value = -0.625f;
      const double exact = mean + static_cast<double>(weight) * (static_cast<double>(value) - mean);
      EXPECT_NEAR(moved_average(mean, value, weight), exact, 2 * kEpsilon) << "differences are at most 2";
    }
  }
  EXPECT_EQ(moved_average(NAN, 0.5f, 1.0f), 0.5f) << "nothing is left of what a mean was before it began";
}

TEST(MovingAverage, SwapsAndSwapsBack) {
  const std::int64_t zero = 0;
  for (const auto& [first, second] : kCounts) {
    Both both(first, second);
    const Both before(first, second);
    moving_average_swap(both.view(zero, zero, 0.0f), nullptr);
    EXPECT_EQ(both.parameters.values, before.parameters.means);
    EXPECT_EQ(both.parameters.means, before.parameters.values);
    EXPECT_EQ(both.statistics.values, before.statistics.means);
    EXPECT_EQ(both.statistics.means, before.statistics.values);
    for (std::size_t i = 0; i < both.parameters.copies.size(); ++i) {
      EXPECT_EQ(__bfloat162float(both.parameters.copies[i]), rounded_to_bfloat16(both.parameters.values[i]));
    }
    moving_average_swap(both.view(zero, zero, 0.0f), nullptr);
    EXPECT_EQ(both.parameters.values, before.parameters.values);
    EXPECT_EQ(both.statistics.means, before.statistics.means);
  }
}

}  // namespace
}  // namespace convoy::kernels
