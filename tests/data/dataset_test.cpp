#include "convoy/dataset.h"

#include <gtest/gtest.h>

#include "convoy/error.h"

namespace convoy {
namespace {

Dataset three_samples() {
  return {.name = "three",
          .image = {1, 1, 2},
          .classes = 3,
          .pixels = {10, 11, 20, 21, 30, 31},
          .labels = {0, 1, 2},
          .normalization = {}};
}

TEST(Take, KeepsTheFirstSamples) {
  const Dataset two = take(three_samples(), 2);
  EXPECT_EQ(two.pixels, (std::vector<std::uint8_t>{10, 11, 20, 21}));
  EXPECT_EQ(two.labels, (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(two.count(), 2);
  EXPECT_EQ(two.classes, 3);
}

TEST(Take, ZeroAndLargeLimitsKeepAll) {
  for (const std::int64_t limit : {0, 3, 4})
    EXPECT_EQ(take(three_samples(), limit).pixels.size(), 6u) << limit;
}

TEST(Take, RefusesANegativeLimit) { EXPECT_THROW(take(three_samples(), -1), UsageError); }

}  // namespace
}  // namespace convoy
