// Batch assembly: the resident data set, its order and cursor, normalisation, augmentation.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class BatchTest : public BackendTest {
 protected:
  struct Batch {
    TensorPtr images, labels;
    OperationPtr operation;
  };

  Batch make_batch(DeviceDataset& dataset, std::int64_t count, const Shape& image,
                   const AugmentationSource& augmentation = {}, StepCounter* counter = nullptr) {
    Batch batch{backend().make_activation({count, image[0], image[1], image[2]}),
                backend().make_tensor({count}, DType::int32), nullptr};
    batch.operation = backend().make_batch(dataset, batch.images, batch.labels, augmentation, counter);
    return batch;
  }

  Values images(const Batch& batch) { return backend().read(*batch.images); }
  Values labels(const Batch& batch) { return backend().read(*batch.labels); }
};

/// Sample n has label n; its pixels run through the bytes.
Dataset small_dataset(std::int64_t count, const Shape& image) {
  Dataset dataset;
  dataset.name = "small";
  dataset.image = image;
  dataset.classes = count;
  for (std::int64_t n = 0; n < count; ++n) dataset.labels.push_back(static_cast<std::uint8_t>(n));
  for (std::int64_t i = 0; i < count * image.count(); ++i) {
    dataset.pixels.push_back(static_cast<std::uint8_t>(i * 37 % 256));
  }
  return dataset;
}

/// (byte / 255 - mean) / std of the samples in `order`, straight from the definition.
Values normalised(const Dataset& dataset, const std::vector<std::uint32_t>& order) {
  const std::int64_t channels = dataset.image[0], plane = dataset.image[1] * dataset.image[2];
  const auto of = [](const std::vector<float>& v, std::int64_t c) {
    return double{v.size() == 1 ? v[0] : v[c]};
  };
  Values values;
  for (const std::int64_t sample : order) {
    for (std::int64_t i = 0; i < channels * plane; ++i) {
      const double byte = dataset.pixels[sample * channels * plane + i];
      values.push_back((byte / 255 - of(dataset.normalization.mean, i / plane)) /
                       of(dataset.normalization.std, i / plane));
    }
  }
  return values;
}

/// Two roundings of numbers up to 1, divided by the deviation, whichever way the formula is arranged.
double tolerance(double epsilon, const Normalization& normalization) {
  return 2 * epsilon / *std::ranges::min_element(normalization.std);
}

TEST_P(BatchTest, FollowsTheOrderWithARaggedEnd) {
  const Shape image{1, 3, 5};
  const Dataset dataset = small_dataset(7, image);
  const auto resident = backend().upload(dataset);
  const Batch four = make_batch(*resident, 4, image), three = make_batch(*resident, 3, image);
  const double allowed = tolerance(backend().epsilon(), dataset.normalization);

  resident->set_order(std::vector<std::uint32_t>{6, 0, 3, 3, 5, 1, 2});
  four.operation->forward(Phase::training);
  EXPECT_THAT(labels(four), Exactly({6, 0, 3, 3}));
  EXPECT_THAT(images(four), Near(normalised(dataset, {6, 0, 3, 3}), allowed));
  three.operation->forward(Phase::training);
  EXPECT_THAT(labels(three), Exactly({5, 1, 2}));
  EXPECT_THAT(images(three), Near(normalised(dataset, {5, 1, 2}), allowed));
  EXPECT_THAT(labels(four), Exactly({6, 0, 3, 3})) << "the other batch is left alone";

  resident->set_order(std::vector<std::uint32_t>{1, 2, 3, 4, 5});  // the cursor is back at the front
  four.operation->forward(Phase::evaluation);
  EXPECT_THAT(labels(four), Exactly({1, 2, 3, 4}));
}

TEST_P(BatchTest, EveryByteBecomesByteOver255) {
  Dataset dataset = small_dataset(1, {1, 16, 16});
  std::iota(dataset.pixels.begin(), dataset.pixels.end(), std::uint8_t{0});
  const auto resident = backend().upload(dataset);
  const Batch batch = make_batch(*resident, 1, dataset.image);
  resident->set_order(std::vector<std::uint32_t>{0});
  batch.operation->forward(Phase::training);
  EXPECT_THAT(images(batch), Near(normalised(dataset, {0}), tolerance(backend().epsilon(), {})));
  EXPECT_EQ(images(batch).front(), 0.0);
  EXPECT_EQ(images(batch).back(), 1.0);
}

TEST_P(BatchTest, NormalisesEachChannelByItsOwn) {
  Dataset dataset = small_dataset(5, {3, 2, 3});
  dataset.normalization = {{0.4914f, 0.4822f, 0.4465f}, {0.247f, 0.2435f, 0.0625f}};
  const auto resident = backend().upload(dataset);
  const Batch batch = make_batch(*resident, 2, dataset.image);
  resident->set_order(std::vector<std::uint32_t>{4, 1});
  batch.operation->forward(Phase::training);
  EXPECT_THAT(images(batch),
              Near(normalised(dataset, {4, 1}), tolerance(backend().epsilon(), dataset.normalization)));
}

TEST_P(BatchTest, NormalisesAllChannelsByOne) {
  Dataset dataset = small_dataset(2, {3, 2, 2});
  dataset.normalization = {{0.5f}, {0.25f}};
  const auto resident = backend().upload(dataset);
  const Batch batch = make_batch(*resident, 2, dataset.image);
  resident->set_order(std::vector<std::uint32_t>{0, 1});
  batch.operation->forward(Phase::training);
  EXPECT_THAT(images(batch),
              Near(normalised(dataset, {0, 1}), tolerance(backend().epsilon(), dataset.normalization)));
}

TEST_P(BatchTest, KeepsItsOwnCopyOfTheData) {
  Dataset dataset = small_dataset(2, {1, 2, 2});
  const Values expected = normalised(dataset, {1});
  const auto resident = backend().upload(dataset);
  std::ranges::fill(dataset.pixels, std::uint8_t{0});
  const Batch batch = make_batch(*resident, 1, dataset.image);
  resident->set_order(std::vector<std::uint32_t>{1});
  batch.operation->forward(Phase::training);
  EXPECT_THAT(images(batch), Near(expected, tolerance(backend().epsilon(), {})));
}

TEST_P(BatchTest, RefusesAnOrderBeyondTheData) {
  const auto resident = backend().upload(small_dataset(3, {1, 2, 2}));
  EXPECT_THAT(usage_error([&] {
                resident->set_order(std::vector<std::uint32_t>{0, 3});
              }),
              AllOf(HasSubstr("small"), HasSubstr("3")));
  EXPECT_THAT(usage_error([&] {
                resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 0});
              }),
              AllOf(HasSubstr("small"), HasSubstr("4 samples"), HasSubstr("has 3")));
  EXPECT_THAT(usage_error([&] { resident->set_order({}); }), AllOf(HasSubstr("small"), HasSubstr("empty")));
  for (const std::int64_t begin : {-1, 2}) {
    EXPECT_THAT(usage_error([&] {
                  resident->set_order(std::vector<std::uint32_t>{0, 1}, begin);
                }),
                HasSubstr("not in an order of 2"));
  }
}

TEST_P(BatchTest, RefusesShapesThatAreNotTheDataSets) {
  const auto resident = backend().upload(small_dataset(3, {1, 2, 2}));
  const auto message = [&](const Shape& images, const Shape& labels) {
    const TensorPtr x = backend().make_activation(images), y = backend().make_tensor(labels, DType::int32);
    return usage_error([&] { backend().make_batch(*resident, x, y, {}); });
  };
  EXPECT_THAT(message({2, 1, 2, 3}, {2}), AllOf(HasSubstr("[2, 1, 2, 3]"), HasSubstr("[2, 1, 2, 2]")));
  EXPECT_THAT(message({2, 1, 2, 2}, {3}), AllOf(HasSubstr("[3]"), HasSubstr("[2]")));
}

TEST_P(BatchTest, RefusesDataSetsThatContradictThemselves) {
  const auto message = [&](const std::function<void(Dataset&)>& break_it) {
    Dataset dataset = small_dataset(3, {3, 2, 2});
    break_it(dataset);
    return usage_error([&] { backend().upload(dataset); });
  };
  EXPECT_THAT(message([](Dataset& d) { d.pixels.pop_back(); }), AllOf(HasSubstr("small"), HasSubstr("35")));
  EXPECT_THAT(message([](Dataset& d) { d.normalization.mean = {0.5f, 0.5f}; }), HasSubstr("2 means"));
  EXPECT_THAT(message([](Dataset& d) { d.normalization.std = {0.0f}; }), HasSubstr("deviation"));
  EXPECT_THAT(message([](Dataset& d) { d.image = {12}; }), HasSubstr("[12]"));
}

TEST_P(BatchTest, SaysWhenTheOrderIsUsedUp) {
  const auto resident = backend().upload(small_dataset(3, {1, 2, 2}));
  const Batch batch = make_batch(*resident, 2, {1, 2, 2});
  EXPECT_THROW(batch.operation->forward(Phase::training), Error) << "no order was set";
  resident->set_order(std::vector<std::uint32_t>{0, 1, 2});
  batch.operation->forward(Phase::training);
  if (!GetParam().sees_device_data) GTEST_SKIP() << "the device goes on at the order's beginning";
  EXPECT_THROW(batch.operation->forward(Phase::training), Error);
}

TEST_P(BatchTest, ReplaysFollowANewOrderOfAnotherLength) {
  const auto resident = backend().upload(small_dataset(6, {1, 2, 2}));
  const Batch batch = make_batch(*resident, 2, {1, 2, 2});
  resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5});
  const auto step = backend().record([&] { batch.operation->forward(Phase::training); });
  for (int run = 0; run < 3; ++run) step->run(1);  // the last ones replay what was recorded
  EXPECT_THAT(labels(batch), Exactly({4, 5}));
  resident->set_order(std::vector<std::uint32_t>{5, 2, 1});
  step->run(1);
  EXPECT_THAT(labels(batch), Exactly({5, 2}));
  if (GetParam().sees_device_data) GTEST_SKIP() << "this backend says so when an order is used up";
  step->run(1);
  EXPECT_THAT(labels(batch), Exactly({1, 5}));
}

constexpr RandomStream kRandom{.seed = 0x123456789abcull, .stream = 77};

/// normalised() of images that were flipped, then shifted, as the words of their draws say: dy = floor(word 0
/// / 2^32 (2 max_shift + 1)) - max_shift, dx likewise of word 1, and a flip if word 2 is in its upper half.
Values augmented(const Dataset& dataset, const std::vector<std::uint32_t>& order,
                 const AugmentationOptions& options, std::uint32_t step) {
  Dataset moved = dataset;
  const std::int64_t channels = dataset.image[0], height = dataset.image[1], width = dataset.image[2];
  std::vector<std::uint32_t> rows(order.size());
  std::iota(rows.begin(), rows.end(), 0u);
  moved.pixels.clear();
  for (const std::uint32_t row : rows) {
    const Philox4 draw = philox(kRandom.seed, {{row, 0, step, kRandom.stream}});
    const auto shift = [&](unsigned word) {
      return static_cast<std::int64_t>(draw.word[word] / 4294967296.0 * (2 * options.max_shift + 1)) -
             options.max_shift;
    };
    const bool flip = options.flip == Flip::random && draw.word[2] / 4294967296.0 >= 0.5;
    for (std::int64_t i = 0; i < channels * height * width; ++i) {
      const std::int64_t c = i / width / height, y = i / width % height + shift(0), x = i % width + shift(1);
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      const std::int64_t from = flip ? width - 1 - x : x;
      const std::int64_t at = ((order[row] * channels + c) * height + y) * width + from;
      moved.pixels.push_back(inside ? dataset.pixels[static_cast<std::size_t>(at)] : std::uint8_t{0});
    }
  }
  return normalised(moved, rows);
}

TEST_P(BatchTest, AugmentsTrainingBatches) {
  Dataset dataset = small_dataset(9, {2, 5, 7});
  dataset.normalization = {{0.5f, 0.25f}, {0.25f, 0.5f}};
  const std::vector<std::uint32_t> order = {4, 8, 0, 3, 1, 1, 7, 6};
  const double allowed = tolerance(backend().epsilon(), dataset.normalization);
  const auto resident = backend().upload(dataset);
  const auto counter = backend().make_counter();
  const AugmentationOptions cases[] = {{.max_shift = 2},
                                       {.flip = Flip::random},
                                       {.max_shift = 2, .flip = Flip::random},
                                       {.max_shift = 4, .flip = Flip::random}};
  for (const AugmentationOptions& options : cases) {
    SCOPED_TRACE(testing::Message() << "shift " << options.max_shift << ", flip "
                                    << static_cast<int>(options.flip));
    const Batch batch = make_batch(*resident, 8, dataset.image, {options, kRandom, counter.get()});
    const Values plain = normalised(dataset, order);
    Values last = plain;
    for (const std::uint32_t step : {1u, 2u, 1000000u}) {  // the counter is read when the batch is made
      counter->write(step);
      resident->set_order(order);
      batch.operation->forward(Phase::training);
      const Values expected = augmented(dataset, order, options, step);
      EXPECT_NE(expected, last) << "another step draws anew";
      EXPECT_THAT(images(batch), Near(expected, allowed));
      EXPECT_THAT(labels(batch), Exactly({4, 8, 0, 3, 1, 1, 7, 6}));
      last = expected;
    }
    resident->set_order(order);
    batch.operation->forward(Phase::evaluation);
    EXPECT_THAT(images(batch), Near(plain, allowed)) << "evaluation sees the images as they are";
  }
}

TEST_P(BatchTest, ReplaysDrawByTheCounter) {
  const Dataset dataset = small_dataset(6, {1, 4, 4});
  const auto resident = backend().upload(dataset);
  const auto counter = backend().make_counter();
  const AugmentationOptions options{.max_shift = 1, .flip = Flip::random};
  const Batch batch = make_batch(*resident, 2, dataset.image, {options, kRandom, counter.get()});
  resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5});
  const auto step = backend().record([&] {
    counter->advance();
    batch.operation->forward(Phase::training);
  });
  for (const std::uint32_t count : {1u, 2u, 3u}) {
    step->run(1);
    const std::vector<std::uint32_t> samples = {2 * count - 2, 2 * count - 1};
    EXPECT_THAT(images(batch),
                Near(augmented(dataset, samples, options, count), tolerance(backend().epsilon(), {})));
  }
}

TEST_P(BatchTest, BeginsTheStepThatItDrawsBy) {
  const Dataset dataset = small_dataset(6, {1, 4, 4});
  const auto resident = backend().upload(dataset);
  const StepRule rule =
      step_rule(AdamOptions{}, {LinearLR{.start_factor = 0.25, .end_factor = 1.0, .total_iters = 3}});
  const auto counter = backend().make_counter(rule), alone = backend().make_counter(rule);
  const AugmentationOptions options{.max_shift = 1, .flip = Flip::random};
  const Batch batch =
      make_batch(*resident, 2, dataset.image, {options, kRandom, counter.get()}, counter.get());
  resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5});
  const auto step = backend().record([&] { batch.operation->forward(Phase::training); });
  for (const std::uint32_t count : {1u, 2u, 3u}) {
    step->run(1);
    alone->advance();
    EXPECT_EQ(counter->scalars(), alone->scalars());
    const std::vector<std::uint32_t> samples = {2 * count - 2, 2 * count - 1};
    EXPECT_THAT(images(batch),
                Near(augmented(dataset, samples, options, count), tolerance(backend().epsilon(), {})));
  }
  resident->set_order(std::vector<std::uint32_t>{3, 4});
  batch.operation->forward(Phase::evaluation);  // as where statistics are settled
  EXPECT_EQ(counter->read(), 4);
  EXPECT_THAT(images(batch), Near(normalised(dataset, {3, 4}), tolerance(backend().epsilon(), {})));
}

TEST_P(BatchTest, RefusesAugmentationsThatCannotBe) {
  const Shape image{1, 4, 6};
  const auto resident = backend().upload(small_dataset(3, image));
  const auto counter = backend().make_counter();
  const auto message = [&](const AugmentationOptions& options, const StepCounter* drawn_by) {
    return usage_error([&] { make_batch(*resident, 2, image, {options, kRandom, drawn_by}); });
  };
  EXPECT_THAT(message({.max_shift = -1}, counter.get()), HasSubstr("-1 pixels"));
  EXPECT_THAT(message({.max_shift = 4}, counter.get()), AllOf(HasSubstr("4 pixels"), HasSubstr("[1, 4, 6]")));
  EXPECT_THAT(message({.flip = Flip::random}, nullptr), HasSubstr("counter"));
  make_batch(*resident, 2, image, {{.max_shift = 3}, kRandom, counter.get()});
}

INSTANTIATE_TEST_SUITE_P(, BatchTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
