#include "engine/data/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "convoy/error.h"

namespace convoy {
namespace {

using testing::ElementsAre;

TEST(ShuffledOrder, IsAPermutation) {
  for (const std::int64_t count : {0, 1, 2, 7, 1000, 60000}) {
    std::vector<std::uint32_t> order = shuffled_order(count, 1, 1);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, sequential_order(count)) << count;
  }
}

// Computed by an independent implementation of Philox and Fisher-Yates: a change here changes every training
// run's result.
TEST(ShuffledOrder, IsPinned) {
  const auto head = [](std::uint64_t seed, std::uint32_t epoch) {
    std::vector<std::uint32_t> order = shuffled_order(60000, seed, epoch);
    order.resize(8);
    return order;
  };
  EXPECT_THAT(shuffled_order(10, 1, 1), ElementsAre(8, 4, 3, 5, 2, 7, 9, 0, 6, 1));
  EXPECT_THAT(head(1, 1), ElementsAre(11921, 57602, 28825, 28792, 10956, 19038, 46000, 8056));
  EXPECT_THAT(head(1, 2), ElementsAre(4090, 40493, 55844, 13788, 35330, 39995, 3831, 58326));
  EXPECT_THAT(head((1ull << 40) + 1, 1), ElementsAre(19742, 42426, 28002, 40413, 50562, 6729, 2868, 5709));
}

TEST(ShuffledOrder, DependsOnSeedAndEpochAlone) {
  EXPECT_EQ(shuffled_order(1000, 3, 2), shuffled_order(1000, 3, 2));
  EXPECT_NE(shuffled_order(1000, 3, 2), shuffled_order(1000, 3, 3));
  EXPECT_NE(shuffled_order(1000, 3, 2), shuffled_order(1000, 4, 2));
}

TEST(SequentialOrder, CountsUp) {
  EXPECT_THAT(sequential_order(4), ElementsAre(0, 1, 2, 3));
  EXPECT_TRUE(sequential_order(0).empty());
}

TEST(SequentialOrder, RefusesCountsThatDoNotFit) {
  EXPECT_THROW(sequential_order(-1), UsageError);
  EXPECT_THROW(shuffled_order(std::int64_t{1} << 32, 1, 1), UsageError);
}

}  // namespace
}  // namespace convoy
