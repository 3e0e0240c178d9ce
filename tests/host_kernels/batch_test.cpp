#include "kernels/batch.h"

#include "engine/core/step_table.h"
#include "kernels/metrics.h"

#include <cmath>
#include <numeric>
#include <set>

#include "convoy/error.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr std::uint32_t kCount = 11;  // samples of the data set

struct Image {
  std::int32_t channels, height, width;
  std::int64_t size() const { return std::int64_t{channels} * height * width; }
};

class Source {
 public:
  explicit Source(Image image) : image_(image) {
    PhiloxSequence sequence({.seed = 3});
    pixels_.resize(static_cast<std::size_t>(kCount * image.size()));
    for (std::uint8_t& pixel : pixels_) pixel = static_cast<std::uint8_t>(sequence.below(256));
    for (std::uint32_t i = 0; i < kCount; ++i)
      labels_.push_back(static_cast<std::uint8_t>(sequence.below(200)));
    for (std::int32_t c = 0; c < image.channels; ++c) {
      means_.push_back(0.1307 + 0.01 * c);
      stds_.push_back(0.3081 + 0.02 * c);
      scales_.push_back(
          {static_cast<float>(1 / (255 * stds_.back())), static_cast<float>(-means_.back() / stds_.back())});
    }
    for (std::uint32_t i = 0; i < kCount; ++i) order_.push_back(i * 7 % kCount);
  }

  BatchSource on_device(BatchCursor* cursor) const {
    return {.pixels = pixels_.data(),
            .labels = labels_.data(),
            .scales = scales_.data(),
            .order = order_.data(),
            .numbers = order_.data(),
            .cursor = cursor,
            .channels = image_.channels,
            .height = image_.height,
            .width = image_.width};
  }

  std::uint32_t index(std::int64_t position) const {
    return order_[static_cast<std::size_t>(position % kCount)];
  }
  std::int32_t label(std::int64_t position) const { return labels_[index(position)]; }

  /// Byte of the sample at `position`, after its augmentation; 0 beyond the edge.
  double byte(std::int64_t position, Augmentation a, std::int32_t c, std::int32_t y, std::int32_t x) const {
    y += a.dy;
    x += a.dx;
    if (y < 0 || y >= image_.height || x < 0 || x >= image_.width) return 0.0;
    if (a.flip) x = image_.width - 1 - x;
    const std::int64_t at = index(position) * image_.size() + (c * image_.height + y) * image_.width + x;
    return pixels_[static_cast<std::size_t>(at)];
  }
  double mean(std::int32_t c) const { return means_[static_cast<std::size_t>(c)]; }
  double std(std::int32_t c) const { return stds_[static_cast<std::size_t>(c)]; }

 private:
  Image image_;
  std::vector<std::uint8_t> pixels_, labels_;
  std::vector<double> means_, stds_;
  std::vector<ChannelScale> scales_;
  std::vector<std::uint32_t> order_;
};

struct Batches {
  std::vector<Elements> images;
  std::vector<std::vector<std::int32_t>> labels;
  std::int64_t position;
  unsigned arrived;
  bool operator==(const Batches&) const = default;
};

constexpr std::int64_t kBatches = 3;
constexpr std::int64_t kFirstStep = 5;

struct Case {
  Image image;
  std::int64_t rows;
  DType dtype;
  bool augment;
};

BatchAugmentation augmentation(const Case& c, const std::int64_t* step) {
  return {.options = {.max_shift = 2, .flip = Flip::random},
          .random = {.seed = 9, .stream = 4},
          .step = c.augment ? step : nullptr};
}

Batches run(const Source& source, const Case& c) {
  Batches result{};
  BatchCursor cursor{.position = 0, .length = kCount, .epoch = 0, .arrived = 0};
  for (std::int64_t batch = 0; batch < kBatches; ++batch) {
    const std::int64_t step = kFirstStep + batch;
    Elements images(c.dtype, c.rows * c.image.size());
    std::vector<std::int32_t> labels(static_cast<std::size_t>(c.rows));
    assemble_batch(source.on_device(&cursor),
                   {.images = images.data(), .dtype = c.dtype, .labels = labels.data(), .rows = c.rows},
                   augmentation(c, &step), {}, nullptr);
    result.images.push_back(images);
    result.labels.push_back(labels);
  }
  result.position = cursor.position;
  result.arrived = cursor.arrived;
  return result;
}

void compare_batch(const Source& source, const Case& c, const Batches& result, std::int64_t batch) {
  const Elements& images = result.images[static_cast<std::size_t>(batch)];
  std::size_t at = 0;
  for (std::int64_t row = 0; row < c.rows; ++row) {
    const std::int64_t position = batch * c.rows + row;
    ASSERT_EQ(result.labels[static_cast<std::size_t>(batch)][static_cast<std::size_t>(row)],
              source.label(position));
    Augmentation a;
    if (c.augment) {
      const BatchAugmentation options = augmentation(c, nullptr);
      a = augmentation_at(options.random, static_cast<std::uint32_t>(kFirstStep + batch),
                          static_cast<std::uint32_t>(row), options.options);
    }
    for (std::int32_t y = 0; y < c.image.height; ++y) {
      for (std::int32_t x = 0; x < c.image.width; ++x) {
        for (std::int32_t channel = 0; channel < c.image.channels; ++channel, ++at) {
          const double byte = source.byte(position, a, channel, y, x);
          const double expected = (byte / 255 - source.mean(channel)) / source.std(channel);
          // Scale, product, offset and sum round once each, in fp32, at the size of their terms.
          const double tolerance = 2 * kEpsilon * (byte / 255 + source.mean(channel)) / source.std(channel) +
                                   images.rounding() * std::abs(expected);
          ASSERT_NEAR(images[at], expected, tolerance) << "row " << row << " y " << y << " x " << x;
        }
      }
    }
  }
}

TEST(Batch, GathersNormalisesAndAugmentsInNhwc) {
  const Image images[] = {{1, 1, 1}, {1, 28, 28}, {3, 5, 7}, {2, 3, 3}, {35, 2, 2}, {3, 32, 32}};
  for (const Image& image : images) {
    const Source source(image);
    for (const std::int64_t rows :
         {0, 1, 4, 5, 13}) {  // 13: longer than the order, which goes on at its start
      for (const DType dtype : kDTypes) {
        for (const bool augment : {false, true}) {
          const Case c{image, rows, dtype, augment};
          SCOPED_TRACE(testing::Message() << image.channels << "x" << image.height << "x" << image.width
                                          << ", rows " << rows << ", augment " << augment);
          const Batches result = in_every_order([&] { return run(source, c); });
          for (std::int64_t batch = 0; batch < kBatches; ++batch) compare_batch(source, c, result, batch);
          EXPECT_EQ(result.position, kBatches * rows % kCount);
          EXPECT_EQ(result.arrived, 0u);
        }
      }
    }
  }
}

/// The same batches, each of which begins the step that it draws by.
struct CountedBatches {
  Batches batches;
  std::vector<StepScalars> scalars;  // of each step
  bool operator==(const CountedBatches&) const = default;
};

CountedBatches run_counted(const Source& source, const Case& c, const StepRule& rule) {
  CountedBatches result{};
  const StepTable table = step_table(rule);
  BatchCursor cursor{.position = 0, .length = kCount, .epoch = 0, .arrived = 0};
  StepScalars scalars{.step = kFirstStep - 1};
  for (std::int64_t batch = 0; batch < kBatches; ++batch) {
    Elements images(c.dtype, c.rows * c.image.size());
    std::vector<std::int32_t> labels(static_cast<std::size_t>(c.rows));
    assemble_batch(source.on_device(&cursor),
                   {.images = images.data(), .dtype = c.dtype, .labels = labels.data(), .rows = c.rows},
                   augmentation(c, &scalars.step), {&scalars, &table}, nullptr);
    result.batches.images.push_back(images);
    result.batches.labels.push_back(labels);
    result.scalars.push_back(scalars);
  }
  result.batches.position = cursor.position;
  result.batches.arrived = cursor.arrived;
  return result;
}

TEST(Batch, BeginsTheStepThatItDrawsBy) {
  const StepRule adam =
      step_rule(AdamOptions{}, {LinearLR{.start_factor = 0.25, .end_factor = 1.0, .total_iters = 6}});
  for (const StepRule& rule : {adam, step_rule(SgdOptions{.learning_rate = 0.5f, .momentum = 0.9f})}) {
    const StepTable table = step_table(rule);
    StepScalars scalars{.step = kFirstStep - 1};
    std::vector<StepScalars> expected;
    for (std::int64_t batch = 0; batch < kBatches; ++batch) {
      advance_step(&scalars, &table, nullptr);
      expected.push_back(scalars);
    }
    const Image image{3, 9, 7};
    const Source source(image);
    for (const std::int64_t rows : {0, 1, 40}) {  // the last are several blocks
      for (const DType dtype : kDTypes) {
        for (const bool augment : {false, true}) {
          SCOPED_TRACE(testing::Message() << "rows " << rows << ", augment " << augment);
          const Case c{image, rows, dtype, augment};
          const CountedBatches counted = in_every_order([&] { return run_counted(source, c, rule); });
          EXPECT_EQ(counted.scalars, expected) << "bit for bit what advance_step makes";
          EXPECT_EQ(counted.batches, run(source, c));
        }
      }
    }
  }
}

TEST(Batch, TooManyElementsAreRefused) {
  BatchCursor cursor{.position = 0, .length = kCount, .epoch = 0, .arrived = 0};
  const Source source({3, 32, 32});
  EXPECT_THROW(assemble_batch(source.on_device(&cursor), {.rows = 700000}, {}, {}, nullptr), Error);
  EXPECT_EQ(cursor.position, 0);
}

TEST(Augmentation, DrawsEveryShiftAndBothSides) {
  std::set<std::int32_t> rows, columns;
  int flips = 0;
  for (std::uint32_t row = 0; row < 1000; ++row) {
    const Augmentation a = augmentation_at({.seed = 1}, 1, row, {.max_shift = 3, .flip = Flip::random});
    rows.insert(a.dy);
    columns.insert(a.dx);
    flips += a.flip;
  }
  EXPECT_EQ(rows, (std::set<std::int32_t>{-3, -2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(columns, rows);
  EXPECT_NEAR(flips, 500, 80);  // 5 standard deviations of a fair coin
}

TEST(Augmentation, IsTheDocumentedFunctionOfItsDraw) {
  const AugmentationOptions options{.max_shift = 4, .flip = Flip::random};
  const Philox4 draw = philox(12, {{34, 0, 56, 7}});
  const Augmentation a = augmentation_at({.seed = 12, .stream = 7}, 56, 34, options);
  EXPECT_EQ(a.dy, static_cast<std::int32_t>(std::floor(draw.word[0] * 9.0 / 4294967296.0)) - 4);
  EXPECT_EQ(a.dx, static_cast<std::int32_t>(std::floor(draw.word[1] * 9.0 / 4294967296.0)) - 4);
  EXPECT_EQ(a.flip, draw.word[2] >= 0x80000000u);
}

TEST(Augmentation, NothingAskedForIsNothingDone) {
  for (std::uint32_t row = 0; row < 100; ++row) {
    const Augmentation a = augmentation_at({.seed = 1}, 1, row, {});
    EXPECT_EQ(a.dy, 0);
    EXPECT_EQ(a.dx, 0);
    EXPECT_FALSE(a.flip);
  }
}

}  // namespace
}  // namespace convoy::kernels
