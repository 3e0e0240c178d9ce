// How an arena of gradients is cut for its sum.
#include "engine/train/gradient_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace convoy {
namespace {

using testing::ElementsAre;

/// Parameters of so many floats.
std::vector<GradientBucket> buckets_of(const std::vector<std::int64_t>& counts, std::int64_t least_bytes) {
  std::vector<Variable> parameters;
  for (const std::int64_t count : counts)
    parameters.push_back({std::make_shared<Tensor>(Shape{count}), nullptr});
  return gradient_buckets(parameters, least_bytes);
}

TEST(GradientBuckets, AreCutFromTheEnd) {
  EXPECT_THAT(buckets_of({1, 2, 3, 4, 5}, 24),
              ElementsAre(GradientBucket{3, 5}, GradientBucket{0, 3}));  // 36 and 24 bytes
  EXPECT_THAT(buckets_of({1, 10, 10}, 40),
              ElementsAre(GradientBucket{2, 3}, GradientBucket{1, 2}, GradientBucket{0, 1}));
}

TEST(GradientBuckets, OfASmallModelAreOne) {
  EXPECT_THAT(buckets_of({1, 2, 3}, kLeastBucketBytes), ElementsAre(GradientBucket{0, 3}));
  EXPECT_THAT(buckets_of({}, kLeastBucketBytes), ElementsAre());
}

}  // namespace
}  // namespace convoy
