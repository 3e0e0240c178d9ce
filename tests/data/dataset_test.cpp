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

TEST(Transpose, ExchangesRowsAndColumnsOfEveryPlane) {
  Dataset dataset{.name = "two",
                  .image = {2, 2, 3},
                  .classes = 1,
                  .pixels = {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16},
                  .labels = {0},
                  .normalization = {}};
  const Dataset once = transpose(dataset);
  EXPECT_EQ(once.image, Shape({2, 3, 2}));
  EXPECT_EQ(once.pixels, (std::vector<std::uint8_t>{1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16}));
  EXPECT_TRUE(once.transposed);
  EXPECT_EQ(transpose(once).pixels, dataset.pixels);
  EXPECT_FALSE(transpose(once).transposed);
}

/// Grey images of 28 x 28 with a bar of 20 pixels, moved by so much.
Dataset bars(std::size_t count, std::size_t down, std::uint8_t ink, std::uint8_t paper) {
  Dataset dataset{.name = "bars",
                  .image = {1, 28, 28},
                  .classes = 1,
                  .pixels = std::vector<std::uint8_t>(784 * count, paper),
                  .labels = std::vector<std::uint8_t>(count, 0),
                  .normalization = {.mean = {0.5f}, .std = {0.25f}}};
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t y = 4 + down; y < 24 + down; ++y) {
      for (std::size_t x = 13; x < 16; ++x) dataset.pixels[784 * i + 28 * y + x] = ink;
    }
  }
  return dataset;
}

TEST(MeasurePreparation, KnowsMnistsFramingByBoxAndCentreOfMass) {
  const Preparation as_mnist = measure_preparation(bars(20, 0, 255, 0), "mine");
  EXPECT_EQ(as_mnist.dataset, "mine");
  EXPECT_EQ(as_mnist.framing, Framing::mnist);
  EXPECT_EQ(as_mnist.background, Background::dark);
  EXPECT_EQ(as_mnist.normalization.mean, std::vector<float>{0.5f});
  EXPECT_FALSE(as_mnist.transposed);
  EXPECT_EQ(measure_preparation(bars(20, 3, 255, 0), "mine").framing, Framing::fit) << "not centred";
  const Preparation negative = measure_preparation(bars(20, 0, 0, 255), "mine");
  EXPECT_EQ(negative.framing, Framing::fit);
  EXPECT_EQ(negative.background, Background::light);
}

TEST(MeasurePreparation, TakesNothingForSureThatSomeImagesContradict) {
  Dataset mixed = bars(20, 0, 255, 0);
  for (std::size_t i = 0; i < 2 * 784; ++i)
    mixed.pixels[i] = static_cast<std::uint8_t>(255 - mixed.pixels[i]);
  const Preparation preparation = measure_preparation(mixed, "mine");
  EXPECT_EQ(preparation.background, Background::mixed);
  EXPECT_EQ(preparation.framing, Framing::fit);
  Dataset colour = bars(20, 0, 255, 0);
  colour.image = {2, 14, 28};
  EXPECT_EQ(measure_preparation(colour, "mine").background, Background::mixed);
}

}  // namespace
}  // namespace convoy
