// The matchers must be able to fail: everything else rests on them.
#include "tests/backend/compare.h"

#include <gtest/gtest.h>

#include <limits>

namespace convoy {
namespace {

using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Compare, ExactlyTakesNothingElse) {
  EXPECT_THAT((Values{1, kNan, -kInfinity}), Exactly({1, kNan, -kInfinity}));
  EXPECT_THAT((Values{1 + 0x1p-52}), Not(Exactly({1})));
  EXPECT_THAT((Values{1, 2}), Not(Exactly({1})));
  EXPECT_THAT((Values{}), Exactly({}));
}

TEST(Compare, NanAndInfinityAreNeverNearANumber) {
  EXPECT_THAT((Values{kNan}), Not(Near({1}, 1e300)));
  EXPECT_THAT((Values{1}), Not(Near({kNan}, 1e300)));
  EXPECT_THAT((Values{kInfinity}), Not(Near({1}, 1e300)));
  EXPECT_THAT((Values{kInfinity}), Not(Near({-kInfinity}, 1e300)));
  EXPECT_THAT((Values{kInfinity, kNan}), Near({kInfinity, kNan}, 0.5));
}

TEST(Compare, RelativeToTheLargestFiniteValue) {
  EXPECT_THAT((Values{0.5, 100}), RelativelyNear({0, 100}, 0.005));
  EXPECT_THAT((Values{0.51, 100}), Not(RelativelyNear({0, 100}, 0.005)));
  EXPECT_THAT((Values{0.5, kInfinity}), Not(RelativelyNear({0, kInfinity}, 0.005)));
}

TEST(Compare, NamesTheWorstElement) {
  testing::StringMatchResultListener why;
  EXPECT_FALSE(testing::ExplainMatchResult(Near({1, 2, 3}, 0.1), Values{1.5, 2, 7}, &why));
  EXPECT_EQ(why.str(), "where 2 of 3 elements miss; the worst is [2]: 7, expected 3, off by 4");
}

}  // namespace
}  // namespace convoy
