// Means over seeds, lists of seeds, and whose turn it is.
#include "apps/convoy/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "apps/convoy/baton.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/seed_flags.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Tables of Student's distribution, 0.975 quantile, of which each has five digits behind the point.
TEST(Statistics, StudentsTIsThatOfTheTables) {
  constexpr double kHalfADigit = 0.5e-5;
  EXPECT_NEAR(student_t_95(1), 12.70620, kHalfADigit);
  EXPECT_NEAR(student_t_95(2), 4.30265, kHalfADigit);
  EXPECT_NEAR(student_t_95(3), 3.18245, kHalfADigit);
  EXPECT_NEAR(student_t_95(4), 2.77645, kHalfADigit);
  EXPECT_NEAR(student_t_95(7), 2.36462, kHalfADigit);
  EXPECT_NEAR(student_t_95(9), 2.26216, kHalfADigit);
  EXPECT_NEAR(student_t_95(30), 2.04227, kHalfADigit);
  EXPECT_NEAR(student_t_95(199), 1.97196, kHalfADigit);
}

TEST(Statistics, AMeanHasItsInterval) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  const MeanOf mean = mean_of(std::vector<double>{1, 2, 6});
  EXPECT_NEAR(mean.mean, 3.0, 3 * 3 * kEps);
  // The deviations -2, -1 and 3: s = sqrt(14 / 2), over sqrt(3), times t with two degrees of freedom.
  EXPECT_NEAR(*mean.half_width, 4.30265 * std::sqrt(7.0 / 3.0), 0.5e-5 * 2);
  EXPECT_EQ(in_words(mean, 2), "3.00 +- 6.57");
  EXPECT_EQ(mean.low(), mean.mean - *mean.half_width);
  EXPECT_EQ(to_json(mean)["high"], mean.mean + *mean.half_width);

  const MeanOf one = mean_of(std::vector<double>{98.5});
  EXPECT_EQ(one.half_width, std::nullopt);
  EXPECT_EQ(in_words(one, 1), "98.5");
  EXPECT_EQ(to_json(one).dump(), R"({"count":1,"mean":98.5,"low":null,"high":null})");
  EXPECT_EQ(*mean_of(std::vector<double>{5, 5}).half_width, 0.0);
}

TEST(Statistics, TheMedianIsInTheMiddle) {
  EXPECT_EQ(median_of(std::vector<double>{3, 1, 2}), 2.0);
  EXPECT_EQ(median_of(std::vector<double>{4, 1, 3, 2}), 2.5);
}

std::string wrong(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  return read_seeds(text, seeds);
}

TEST(Seeds, AreNumbersAndRanges) {
  std::vector<std::uint64_t> seeds;
  EXPECT_EQ(read_seeds("1-4", seeds), "");
  EXPECT_THAT(seeds, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(read_seeds("9,1-2,5", seeds), "");
  EXPECT_THAT(seeds, ElementsAre(9, 1, 2, 5));
  EXPECT_EQ(in_words(seeds), "9, 1-2, 5");
  EXPECT_EQ(read_seeds("0", seeds), "");
  EXPECT_EQ(in_words(seeds), "0");
}

TEST(Seeds, SayWhatIsWrong) {
  for (const char* text : {"", "a", "1-", "-3", "1,,2", "1,", "3-1", "1.5", "1 2", "99999999999999999999"}) {
    EXPECT_THAT(wrong(text), HasSubstr("is not a list of seeds, as 1-8 or 1,5,9")) << text;
  }
  EXPECT_EQ(wrong("1-3,2"), "'1-3,2' has seed 2 twice");
  EXPECT_EQ(wrong("1-5000"), "'1-5000' are more than 1000 seeds");
  EXPECT_EQ(wrong("1-600,601-1200"), "'1-600,601-1200' are more than 1000 seeds");
}

TEST(Baton, GoesRound) {
  constexpr int kThreads = 3, kTurns = 4;
  Baton baton;
  baton.expect(kThreads);
  std::vector<std::uint64_t> turns;  // of the thread with the baton
  const auto work = [&](std::uint64_t number, int count) {
    baton.take(number);
    for (int i = 0; i < count; ++i) {
      if (i > 0) baton.pass();
      turns.push_back(number);
    }
    baton.give();
  };
  std::vector<std::thread> threads;
  // The last one first, and with fewer turns.
  threads.emplace_back(work, 2, kTurns - 2);
  threads.emplace_back(work, 1, kTurns);
  work(0, kTurns);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns.size(), 10u);
  // All wait for their first turn before any has a second.
  EXPECT_EQ(turns[0], 0u);
  EXPECT_EQ(std::ranges::count(turns, 2u), 2);
  EXPECT_EQ(std::ranges::count(turns, 1u), kTurns);
}

TEST(InterruptGuard, AnInnerOneChangesNothing) {
  const InterruptGuard outer;
  std::raise(SIGTERM);
  {
    const InterruptGuard inner;
    EXPECT_EQ(InterruptGuard::signal(), SIGTERM);
  }
  std::raise(SIGTERM);  // would end the test
  EXPECT_TRUE(InterruptGuard::interrupted());
}

}  // namespace
}  // namespace convoy
