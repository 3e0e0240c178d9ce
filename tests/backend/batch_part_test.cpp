// A process's rows of a batch give what the whole batch gives for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "engine/core/philox.h"
#include "tests/backend/backends.h"
#include "tests/backend/compare.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

class BatchPartTest : public BackendTest {};

constexpr std::int64_t kRows = 7;

/// Elements of rows `first` to `last` (not included) of a tensor of kRows rows.
Values rows_of(const Values& whole, std::int64_t first, std::int64_t last) {
  const std::int64_t row = std::ssize(whole) / kRows;
  return {whole.begin() + first * row, whole.begin() + last * row};
}

TEST_P(BatchPartTest, DropoutDrawsByTheRowOfTheWhole) {
  const RandomStream random{.seed = 11, .stream = 3};
  for (const Shape& row :
       {Shape{5}, Shape{3, 2, 3}}) {  // 5 and 18 draws a row: parts begin within a Philox block
    const auto run = [&](std::int64_t first, std::int64_t last) {
      RandomStream from = random;
      from.first = static_cast<std::uint64_t>(first * row.count());
      const Shape shape = row.rank() == 1 ? Shape{last - first, 5} : Shape{last - first, 3, 2, 3};
      const auto counter = backend().make_counter();
      counter->advance();
      const Variable x = place(backend(), {shape, Values(static_cast<std::size_t>(shape.count()), 1.0)});
      const OperationPtr dropout = backend().make_dropout({.p = 0.5}, x, from, *counter);
      dropout->forward(Phase::training);
      return backend().read(*dropout->output().value);
    };
    const Values whole = run(0, kRows);
    EXPECT_THAT(run(2, 5), Exactly(rows_of(whole, 2, 5)));
    EXPECT_THAT(run(5, kRows), Exactly(rows_of(whole, 5, kRows)));
  }
}

TEST_P(BatchPartTest, AugmentationDrawsByTheRowOfTheWhole) {
  Dataset dataset{.name = "noise", .image = {2, 5, 7}, .classes = 3};
  PhiloxSequence noise({.seed = 4, .stream = 0});
  for (std::int64_t i = 0; i < kRows * dataset.image.count(); ++i) {
    dataset.pixels.push_back(static_cast<std::uint8_t>(noise.below(256)));
  }
  dataset.labels.assign(static_cast<std::size_t>(kRows), 1);
  std::vector<std::uint32_t> order(static_cast<std::size_t>(kRows));
  std::iota(order.begin(), order.end(), 0u);
  const auto resident = backend().upload(dataset);
  const auto counter = backend().make_counter();
  counter->advance();
  const auto run = [&](std::int64_t first, std::int64_t last) {
    const RandomStream random{.seed = 5, .stream = 6, .first = static_cast<std::uint64_t>(first)};
    const TensorPtr images = backend().make_activation({last - first, 2, 5, 7});
    const TensorPtr labels = backend().make_tensor({last - first}, DType::int32);
    const OperationPtr batch = backend().make_batch(*resident, images, labels,
                                                    {{.max_shift = 3,
                                                      .flip = Flip::alternating,
                                                      .padding = Padding::reflect,
                                                      .cutout = 2,
                                                      .max_rotation = 30,
                                                      .max_scaling = 0.2},
                                                     random,
                                                     counter.get()});
    resident->set_order(order, first);
    batch->forward(Phase::training);
    return backend().read(*images);
  };
  const Values whole = run(0, kRows);
  EXPECT_THAT(run(1, 4), Exactly(rows_of(whole, 1, 4)));
  EXPECT_THAT(run(6, kRows), Exactly(rows_of(whole, 6, kRows)));
}

TEST_P(BatchPartTest, LossesAndGradientsAreTheWholesParts) {
  const double smoothing = 0.125;
  const HostTensor logits = normals({kRows, 3}, 1);
  const Values labels = {0, 2, 1, 1, 0, 2, 2};
  const auto run = [&](std::int64_t first, std::int64_t last, Values& gradient) {
    const auto metrics = backend().make_metrics();
    const Variable placed = place(backend(), {{last - first, 3}, rows_of(logits.values, first, last)});
    const HostTensor ours{{last - first}, rows_of(labels, first, last), DType::int32};
    const OperationPtr loss =
        backend().make_cross_entropy(placed, place(backend(), ours, false).value, *metrics, kRows, smoothing);
    loss->forward(Phase::training);
    loss->backward();
    const Values written = backend().read(*placed.grad);
    gradient.insert(gradient.end(), written.begin(), written.end());
    return metrics->read();
  };
  Values expected, parts;
  const MetricsReading whole = run(0, kRows, expected);
  const MetricsReading first = run(0, 3, parts), second = run(3, kRows, parts);
  EXPECT_THAT(parts, Exactly(expected));
  EXPECT_EQ(first.samples + second.samples, whole.samples);
  EXPECT_EQ(first.correct + second.correct, whole.correct);
  // Seven losses of about 1 in another order.
  EXPECT_NEAR(first.last_loss + second.last_loss, whole.last_loss, 8 * backend().epsilon());
  EXPECT_NEAR(first.loss_sum + second.loss_sum, whole.loss_sum, 8 * backend().epsilon());
}

INSTANTIATE_TEST_SUITE_P(, BatchPartTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
