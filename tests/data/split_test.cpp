#include "engine/data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "convoy/error.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::HasSubstr;

/// Images of one pixel that is their number, of these labels.
Dataset numbered(const std::vector<std::uint8_t>& labels) {
  Dataset dataset;
  dataset.name = "pets";
  dataset.image = {1, 1, 1};
  dataset.classes = 3;
  dataset.labels = labels;
  for (std::size_t i = 0; i < labels.size(); ++i) dataset.pixels.push_back(static_cast<std::uint8_t>(i));
  return dataset;
}

std::vector<std::uint8_t> some_labels() {
  std::vector<std::uint8_t> labels(20, 0);
  labels.insert(labels.end(), 10, 1);
  labels.insert(labels.end(), 2, 2);
  return labels;
}

TEST(Split, TakesTheSameShareOfEachClass) {
  const Dataset all = numbered(some_labels());
  const DatasetPair pair = split(all, 0.2, 1);
  const auto of_class = [](const Dataset& half, std::uint8_t label) {
    return std::ranges::count(half.labels, label);
  };
  EXPECT_EQ(of_class(pair.test, 0), 4);
  EXPECT_EQ(of_class(pair.test, 1), 2);
  EXPECT_EQ(of_class(pair.test, 2), 1) << "at least one";
  std::vector<std::uint8_t> together = pair.train.pixels;
  together.insert(together.end(), pair.test.pixels.begin(), pair.test.pixels.end());
  EXPECT_TRUE(std::ranges::is_sorted(pair.train.pixels)) << "the order stays";
  std::ranges::sort(together);
  EXPECT_EQ(together, all.pixels) << "each image is in one half";
  for (const Dataset* half : {&pair.train, &pair.test}) {
    for (std::size_t i = 0; i < half->labels.size(); ++i)
      EXPECT_EQ(half->labels[i], all.labels[half->pixels[i]]);
  }
}

TEST(Split, DependsOnTheSeedAlone) {
  const Dataset all = numbered(some_labels());
  EXPECT_EQ(split(all, 0.5, 7).test.pixels, split(all, 0.5, 7).test.pixels);
  EXPECT_NE(split(all, 0.5, 7).test.pixels, split(all, 0.5, 8).test.pixels);
  // Another class does not change what is drawn of this one.
  const Dataset first = numbered(std::vector<std::uint8_t>(20, 0));
  auto of_first = split(all, 0.5, 7).test.pixels;
  std::erase_if(of_first, [](std::uint8_t pixel) { return pixel >= 20; });
  EXPECT_EQ(split(first, 0.5, 7).test.pixels, of_first);
}

TEST(Split, LeavesOneImageToEachHalf) {
  const Dataset all = numbered({0, 0, 1, 1});
  EXPECT_EQ(split(all, 0.99, 1).train.count(), 2);
  EXPECT_EQ(split(all, 0.01, 1).test.count(), 2);
}

TEST(Split, IsMadeOfDataWithoutATestHalf) {
  const LoadOptions none, share{.split = 0.5};
  LoadOptions if_needed{.split = 0.5, .split_if_needed = true};
  EXPECT_NO_THROW(require_split("pets", /*has_test=*/true, none));
  EXPECT_NO_THROW(require_split("pets", /*has_test=*/false, share));
  EXPECT_NO_THROW(require_split("pets", /*has_test=*/false, if_needed));
  EXPECT_NO_THROW(require_split("pets", /*has_test=*/true, if_needed));
  EXPECT_THROW(require_split("pets", /*has_test=*/true, share), UsageError);
  EXPECT_THROW(require_split("pets", /*has_test=*/false, none), UsageError);
  std::vector<std::uint8_t> held_out;
  if_needed.held_out = [&](const Dataset& test) { held_out = test.pixels; };
  const DatasetPair pair = split_as_asked(numbered({0, 0, 1, 1}), if_needed);
  EXPECT_EQ(held_out.size(), 2u);
  EXPECT_EQ(held_out, pair.test.pixels);
}

TEST(Split, RefusesWhatCannotBeDivided) {
  Dataset all = numbered({0, 0, 1});
  all.class_names = {"cat", "dog"};
  EXPECT_THAT(error_of([&] { split(all, 0.5, 1); }), HasSubstr("pets: class dog has one image"));
  for (const double share : {0.0, 1.0, -0.5, 2.0}) EXPECT_THROW(split(all, share, 1), UsageError) << share;
}

}  // namespace
}  // namespace convoy
