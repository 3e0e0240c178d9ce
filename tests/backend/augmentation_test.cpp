// What training images become, and the views that an evaluation takes: the same bytes on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/philox.h"
#include "tests/backend/backends.h"
#include "tests/backend/harness.h"

namespace convoy {
namespace {

using testing::HasSubstr;

constexpr RandomStream kRandom{.seed = 0x9876543210ull, .stream = 41};
using Bytes = std::vector<int>;

Dataset dataset_of(const Shape& image, const std::vector<int>& pixels) {
  Dataset dataset{.name = "drawn", .image = image, .classes = 1};
  for (const int pixel : pixels) dataset.pixels.push_back(static_cast<std::uint8_t>(pixel));
  dataset.labels.assign(pixels.size() / static_cast<std::size_t>(image.count()), 0);
  return dataset;
}

Dataset noise(std::int64_t count, const Shape& image) {
  PhiloxSequence random({.seed = 8, .stream = 0});
  std::vector<int> pixels(static_cast<std::size_t>(count * image.count()));
  for (int& pixel : pixels) pixel = static_cast<int>(random.below(256));
  return dataset_of(image, pixels);
}

/// Batches of a whole data set on one backend, as bytes.
class Batches {
 public:
  Batches(Backend& backend, const Dataset& dataset, const AugmentationOptions& options,
          const ImageView& view = {})
      : backend_(backend),
        counter_(backend.make_counter()),
        resident_(backend.upload(dataset)),
        order_(dataset.labels.size()),
        images_(
            backend.make_activation({dataset.count(), dataset.image[0], dataset.image[1], dataset.image[2]})),
        labels_(backend.make_tensor({dataset.count()}, DType::int32)),
        operation_(
            backend.make_batch(*resident_, images_, labels_, {options, kRandom, counter_.get(), view})) {
    std::iota(order_.begin(), order_.end(), 0u);
  }

  Values values(std::int64_t step, std::int64_t epoch = 1, Phase phase = Phase::training) {
    counter_->write(step);
    resident_->set_order(order_, 0, epoch);
    operation_->forward(phase);
    return backend_.read(*images_);
  }

  /// Without a normalisation each value is a byte / 255.
  Bytes bytes(std::int64_t step, std::int64_t epoch = 1, Phase phase = Phase::training) {
    Bytes bytes;
    for (const double value : values(step, epoch, phase)) {
      bytes.push_back(static_cast<int>(std::lround(255 * value)));
      EXPECT_NEAR(255 * value, bytes.back(), 1e-3) << "not a byte";
    }
    return bytes;
  }

 private:
  Backend& backend_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<DeviceDataset> resident_;
  std::vector<std::uint32_t> order_;
  TensorPtr images_, labels_;
  OperationPtr operation_;
};

Philox4 words(std::uint32_t row, std::uint32_t block, std::uint32_t step) {
  return philox(kRandom.seed, {{row, block, step, kRandom.stream}});
}

std::int64_t part(std::uint32_t word, std::int64_t count) {
  return static_cast<std::int64_t>(std::floor(word / 4294967296.0 * static_cast<double>(count)));
}

/// A step in which row 0 draws number `draw` of 1025, by that word of its second block.
std::uint32_t step_with(unsigned word, std::int64_t draw) {
  for (std::uint32_t step = 1; step < 100000; ++step) {
    if (part(words(0, 1, step).word[word], 1025) == draw) return step;
  }
  ADD_FAILURE() << "no step draws " << draw;
  return 1;
}

class AugmentationTest : public BackendTest {};

TEST_P(AugmentationTest, EveryBackendMakesTheSameBytes) {
  const AugmentationOptions cases[] = {
      {.max_shift = 2, .flip = Flip::random, .padding = Padding::reflect},
      {.flip = Flip::alternating},
      {.cutout = 3},
      {.max_rotation = 180},
      {.max_scaling = 0.5},
      {.max_shift = 3, .padding = Padding::reflect, .max_rotation = 30, .max_scaling = 0.25},
      {.max_shift = 3, .flip = Flip::alternating, .cutout = 2, .max_rotation = 15, .max_scaling = 0.1}};
  for (const Shape& image : {Shape{1, 7, 7}, Shape{3, 5, 9}, Shape{2, 12, 4}}) {
    const Dataset dataset = noise(9, image);
    for (const AugmentationOptions& options : cases) {
      Batches ours(backend(), dataset, options), expected(truth(), dataset, options);
      for (const std::int64_t step : {1, 2, 77}) {
        SCOPED_TRACE(testing::Message() << image.str() << ", shift " << options.max_shift << ", cutout "
                                        << options.cutout << ", rotation " << options.max_rotation
                                        << ", scaling " << options.max_scaling << ", step " << step);
        EXPECT_EQ(ours.bytes(step, step + 1), expected.bytes(step, step + 1));
      }
      Bytes plain(dataset.pixels.begin(), dataset.pixels.end());
      EXPECT_EQ(ours.bytes(1, 1, Phase::evaluation), plain) << "evaluation sees the images as they are";
      EXPECT_NE(ours.bytes(1, 1), ours.bytes(2, 2)) << "another step draws anew";
    }
  }
}

TEST_P(AugmentationTest, ReflectPaddingMirrorsAtTheOutermostPixels) {
  const std::int64_t mirrored[] = {3, 2, 1, 0, 1, 2, 3, 2, 1, 0};  // of -3 to 6, in an image of 4
  Bytes pixels(16);
  std::iota(pixels.begin(), pixels.end(), 100);
  Batches batches(backend(), dataset_of({1, 4, 4}, pixels), {.max_shift = 3, .padding = Padding::reflect});
  for (std::uint32_t step = 1; step < 40; ++step) {
    const Philox4 draw = words(0, 0, step);
    const std::int64_t dy = part(draw.word[0], 7) - 3, dx = part(draw.word[1], 7) - 3;
    Bytes expected;
    for (std::int64_t y = 0; y < 4; ++y) {
      for (std::int64_t x = 0; x < 4; ++x) {
        expected.push_back(static_cast<int>(100 + 4 * mirrored[y + dy + 3] + mirrored[x + dx + 3]));
      }
    }
    EXPECT_EQ(batches.bytes(step), expected) << "by " << dy << ", " << dx;
  }
}

TEST_P(AugmentationTest, CutoutLeavesASquareOfZerosAroundADrawnPixel) {
  Dataset dataset = dataset_of({2, 5, 6}, Bytes(60, 255));
  dataset.normalization = {{0.25f, 0.75f}, {0.5f, 0.125f}};  // white becomes 1.5 and 2
  for (const std::int32_t side : {1, 2, 3, 5}) {
    Batches batches(backend(), dataset, {.cutout = side});
    int corners = 0;
    for (std::uint32_t step = 1; step < 120; ++step) {
      const Philox4 draw = words(0, 1, step);
      const std::int64_t top = part(draw.word[0], 5) - side / 2, left = part(draw.word[1], 6) - side / 2;
      corners += (part(draw.word[0], 5) % 4 == 0 && part(draw.word[1], 6) % 5 == 0) ? 1 : 0;
      Values expected;
      for (const double white : {1.5, 2.0}) {
        for (std::int64_t y = 0; y < 5; ++y) {
          for (std::int64_t x = 0; x < 6; ++x) {
            const bool cut = y >= top && y < top + side && x >= left && x < left + side;
            expected.push_back(cut ? 0.0 : white);
          }
        }
      }
      EXPECT_EQ(batches.values(step), expected) << "side " << side << " at " << top << ", " << left;
    }
    EXPECT_GE(corners, 4) << "what is cut out at a corner was not seen";
  }
}

TEST_P(AugmentationTest, AQuarterOfATurnMovesWholePixels) {
  const Dataset dataset = dataset_of({1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  Batches batches(backend(), dataset, {.max_rotation = 90});
  EXPECT_EQ(batches.bytes(step_with(2, 1024)), (Bytes{7, 4, 1, 8, 5, 2, 9, 6, 3})) << "clockwise";
  EXPECT_EQ(batches.bytes(step_with(2, 0)), (Bytes{3, 6, 9, 2, 5, 8, 1, 4, 7})) << "the other way";
  EXPECT_EQ(batches.bytes(step_with(2, 512)), (Bytes{1, 2, 3, 4, 5, 6, 7, 8, 9})) << "not at all";
  Batches half(backend(), dataset, {.max_rotation = 180});
  EXPECT_EQ(half.bytes(step_with(2, 1024)), (Bytes{9, 8, 7, 6, 5, 4, 3, 2, 1}));
}

// A pixel of an image at half its size is the mean of four, and around it is black, or the mirror image.
TEST_P(AugmentationTest, HalfTheSizeIsTheMeanOfFourPixels) {
  const Bytes pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const std::uint32_t step = step_with(3, 0);
  Batches black(backend(), dataset_of({1, 4, 4}, pixels), {.max_scaling = 0.5});
  // (1 + 2 + 5 + 6) / 4 = 3.5, to the nearest, upwards.
  EXPECT_EQ(black.bytes(step), (Bytes{0, 0, 0, 0, 0, 4, 6, 0, 0, 12, 14, 0, 0, 0, 0, 0}));
  Batches mirrored(backend(), dataset_of({1, 4, 4}, pixels),
                   {.padding = Padding::reflect, .max_scaling = 0.5});
  // Pixel (0, 0) is from rows -2 and -1, which are 2 and 1, and likewise columns: (6 + 7 + 10 + 11) / 4.
  EXPECT_EQ(mirrored.bytes(step), (Bytes{9, 8, 10, 9, 5, 4, 6, 5, 13, 12, 14, 13, 9, 8, 10, 9}));
}

TEST_P(AugmentationTest, AlternatingFlipsShowEachSideInEverySecondEpoch) {
  constexpr std::int64_t kCount = 400;
  Bytes pixels;
  for (std::int64_t n = 0; n < kCount; ++n) pixels.insert(pixels.end(), {10, 20, 10, 20});
  Batches batches(backend(), dataset_of({1, 2, 2}, pixels), {.flip = Flip::alternating});
  const auto flipped = [&](std::int64_t step, std::int64_t epoch) {
    const Bytes bytes = batches.bytes(step, epoch);
    std::vector<bool> result;
    for (std::size_t n = 0; n < kCount; ++n) result.push_back(bytes[4 * n] == 20);
    return result;
  };
  const std::vector<bool> first = flipped(1, 1);
  EXPECT_NEAR(static_cast<double>(std::ranges::count(first, true)), kCount / 2.0, 50) << "5 deviations";
  std::vector<bool> others = first;
  others.flip();
  EXPECT_EQ(flipped(7, 1), first) << "whatever the step";
  EXPECT_EQ(flipped(8, 2), others);
  EXPECT_EQ(flipped(9, 3), first);
}

TEST_P(AugmentationTest, AViewMovesAllImagesOfAnEvaluation) {
  const Dataset dataset = dataset_of({1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const auto seen = [&](const ImageView& view) {
    return Batches(backend(), dataset, {.max_rotation = 90}, view).bytes(1, 1, Phase::evaluation);
  };
  EXPECT_EQ(seen({.flip = true}), (Bytes{3, 2, 1, 6, 5, 4, 9, 8, 7}));
  EXPECT_EQ(seen({.dy = 1, .dx = 1}), (Bytes{5, 6, 5, 8, 9, 8, 5, 6, 5}));
  EXPECT_EQ(seen({.dy = -1, .dx = -1}), (Bytes{5, 4, 5, 2, 1, 2, 5, 4, 5}));
  EXPECT_EQ(seen({.dy = 1, .dx = 1, .flip = true}), (Bytes{5, 4, 5, 8, 7, 8, 5, 4, 5}))
      << "flipped, then moved";
  EXPECT_THAT(usage_error([&] { Batches(backend(), dataset, {}, {.dx = 3}); }),
              HasSubstr("cannot be shifted by 0 and 3 pixels"));
}

TEST_P(AugmentationTest, ReplaysDrawByTheCounterAndTheEpochOfTheOrder) {
  const Dataset dataset = noise(4, {1, 6, 6});
  const AugmentationOptions options{
      .flip = Flip::alternating, .cutout = 2, .max_rotation = 25, .max_scaling = 0.2};
  const auto counter = backend().make_counter();
  const auto resident = backend().upload(dataset);
  const TensorPtr images = backend().make_activation({4, 1, 6, 6});
  const TensorPtr labels = backend().make_tensor({4}, DType::int32);
  const OperationPtr batch =
      backend().make_batch(*resident, images, labels, {options, kRandom, counter.get()}, counter.get());
  const auto replay = backend().record([&] { batch->forward(Phase::training); });
  Batches expected(backend(), dataset, options);
  for (const std::int64_t step : {1, 2, 3, 4}) {
    resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 3}, 0, step);
    replay->run(1);
    EXPECT_EQ(backend().read(*images), expected.values(step, step)) << "step " << step;
  }
}

TEST_P(AugmentationTest, RefusesWhatCannotBe) {
  const Dataset dataset = noise(1, {1, 4, 6});
  const auto message = [&](const AugmentationOptions& options) {
    return usage_error([&] { Batches(backend(), dataset, options); });
  };
  EXPECT_THAT(message({.cutout = -1}), HasSubstr("square of -1 pixels"));
  EXPECT_THAT(message({.cutout = 5}), HasSubstr("0 to 4 can"));
  EXPECT_THAT(message({.max_rotation = 180.5}), HasSubstr("180.5 is not from 0 to 180 degrees"));
  EXPECT_THAT(message({.max_rotation = std::nan("")}), HasSubstr("from 0 to 180"));
  EXPECT_THAT(message({.max_scaling = 0.75}), HasSubstr("0.75 is not from 0 to 0.5"));
  const Dataset large = dataset_of({1, 1, 1025}, Bytes(1025, 1));
  EXPECT_THAT(usage_error([&] { Batches(backend(), large, {.max_rotation = 1}); }),
              HasSubstr("up to 1024 pixels a side"));
  const auto without_counter = [&](const AugmentationOptions& options) {
    const auto resident = backend().upload(dataset);
    return usage_error([&] {
      backend().make_batch(*resident, backend().make_activation({1, 1, 4, 6}),
                           backend().make_tensor({1}, DType::int32), {options, kRandom, nullptr});
    });
  };
  EXPECT_THAT(without_counter({.cutout = 1}), HasSubstr("step counter"));
  EXPECT_THAT(without_counter({.max_scaling = 0.1}), HasSubstr("step counter"));
}

INSTANTIATE_TEST_SUITE_P(, AugmentationTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
