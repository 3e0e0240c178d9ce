// How processes share batches and epochs.
#include "engine/train/batch_share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace convoy {
namespace {

using testing::ElementsAre;

GroupPlace place(int rank, int size) { return {.rank = rank, .size = size}; }

TEST(EvenShare, DiffersByAtMostOneRow) {
  EXPECT_EQ(even_share(10, place(0, 4)), BatchShare(3, 0, 10));
  EXPECT_EQ(even_share(10, place(1, 4)), BatchShare(3, 3, 10));
  EXPECT_EQ(even_share(10, place(2, 4)), BatchShare(2, 6, 10));
  EXPECT_EQ(even_share(10, place(3, 4)), BatchShare(2, 8, 10));
  EXPECT_EQ(even_share(2, place(3, 4)), BatchShare(0, 2, 2));
}

std::vector<std::uint32_t> counting(std::uint32_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

TEST(EpochShares, ArePartsOfEveryBatch) {
  const EpochShares first(11, 2, place(0, 2)), second(11, 2, place(1, 2));
  EXPECT_EQ(first.full, BatchShare(2, 0, 4));
  EXPECT_EQ(second.full, BatchShare(2, 2, 4));
  EXPECT_EQ(second.steps(), 3);
  EXPECT_EQ(second.samples_in(2), 8);
  EXPECT_EQ(second.samples_in(3), 11);
  EXPECT_THAT(first.order(counting(11)), ElementsAre(0, 1, 4, 5, 8, 9));
  EXPECT_THAT(second.order(counting(11)), ElementsAre(2, 3, 6, 7, 10));
}

TEST(EpochShares, HaveEverySampleOnce) {
  for (const int size : {1, 2, 3, 4, 7}) {
    for (std::uint32_t count = 14; count < 50; ++count) {
      std::vector<std::uint32_t> seen;
      for (int rank = 0; rank < size; ++rank) {
        const auto ours = EpochShares(count, 2, place(rank, size)).order(counting(count));
        seen.insert(seen.end(), ours.begin(), ours.end());
      }
      std::ranges::sort(seen);
      EXPECT_EQ(seen, counting(count)) << size;
    }
  }
}

}  // namespace
}  // namespace convoy
