#include "convoy/shape.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "convoy/error.h"

namespace convoy {
namespace {

using testing::ThrowsMessage;

TEST(Shape, CountsItsElements) {
  EXPECT_EQ((Shape{100, 16, 28, 28}).count(), 1'254'400);
  EXPECT_EQ((Shape{3, 0, 5}).count(), 0);
  EXPECT_EQ(Shape().count(), 1);
}

TEST(Shape, PrintsAsPyTorchDoes) {
  EXPECT_EQ((Shape{100, 16, 28, 28}).str(), "[100, 16, 28, 28]");
  EXPECT_EQ((Shape{7}).str(), "[7]");
  EXPECT_EQ(Shape().str(), "[]");
}

TEST(Shape, GivesItsDimensions) {
  const Shape shape{2, 3, 5};
  EXPECT_EQ(shape.rank(), 3u);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[2], 5);
  EXPECT_THROW(static_cast<void>(shape[3]), std::out_of_range);
}

TEST(Shape, ComparesRankAndDimensions) {
  EXPECT_EQ((Shape{2, 3}), Shape(std::vector<std::int64_t>{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
}

TEST(Shape, RefusesNegativeAndOverflowingCounts) {
  EXPECT_THAT(
      [] {
        static_cast<void>((Shape{2, -3}).count());
      },
      ThrowsMessage<UsageError>("shape [2, -3] has no valid element count"));
  const std::int64_t half = std::int64_t{1} << 31;
  EXPECT_EQ((Shape{half, half}).count(), std::int64_t{1} << 62);
  EXPECT_THAT(
      [&] {
        static_cast<void>((Shape{half, half, 2}).count());
      },
      ThrowsMessage<UsageError>("shape [2147483648, 2147483648, 2] has no valid element count"));
}

}  // namespace
}  // namespace convoy
