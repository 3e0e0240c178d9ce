// Cross-entropy and the metrics it counts into, on every backend.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CrossEntropyTest : public BackendTest {};

struct LossRun {
  MetricsReading metrics;
  Values logits_grad;
};

LossRun run_loss(Backend& backend, const HostTensor& logits, const HostTensor& labels,
                 double label_smoothing = 0.0) {
  const auto metrics = backend.make_metrics();
  const Variable placed = place(backend, logits);
  const auto loss = backend.make_cross_entropy(backend.flatten(placed), place(backend, labels, false).value,
                                               *metrics, 0, label_smoothing);
  loss->forward(Phase::training);
  loss->backward();
  return {metrics->read(), backend.read(*placed.grad)};
}

HostTensor labels_of(const Values& labels) {
  return {Shape{static_cast<std::int64_t>(labels.size())}, labels, DType::int32};
}

TEST_P(CrossEntropyTest, ByHand) {
  // Equal logits: the loss is log(4) whatever the label, each probability 1/4.
  const LossRun run = run_loss(backend(), {{2, 4}, Values(8, 3.0)}, labels_of({0, 2}));
  const double few = 4 * backend().epsilon();
  EXPECT_NEAR(run.metrics.last_loss, std::log(4.0), few);
  EXPECT_THAT(run.logits_grad, Near({-0.375, 0.125, 0.125, 0.125, 0.125, 0.125, -0.375, 0.125}, few));
  EXPECT_EQ(run.metrics.correct, 1) << "the first of equal maxima is the prediction";
}

TEST_P(CrossEntropyTest, AgreesWithPyTorch) {  // F.cross_entropy(z, torch.tensor([2, 1]))
  const LossRun run = run_loss(backend(), {{2, 3}, {1, 2, 3, 0.5, -0.5, 0.25}}, labels_of({2, 1}));
  const double few = 8 * backend().epsilon();
  EXPECT_NEAR(run.metrics.last_loss, 1.0857642657568338, few);
  EXPECT_THAT(run.logits_grad, Near({0.04501528658519022, 0.12236423552739882, -0.1673795221125891,
                                     0.232917783633263, -0.4143143359181043, 0.18139655228484125},
                                    few));
  EXPECT_EQ(run.metrics.correct, 1);
  EXPECT_EQ(run.metrics.samples, 2);
}

// F.cross_entropy(z, torch.tensor([2, 1]), label_smoothing=0.1) of double z
TEST_P(CrossEntropyTest, SmoothsLabelsAsPyTorch) {
  const LossRun run = run_loss(backend(), {{2, 3}, {1, 2, 3, 0.5, -0.5, 0.25}}, labels_of({2, 1}), 0.1);
  const double few = 8 * backend().epsilon();
  EXPECT_NEAR(run.metrics.last_loss, 1.106597599090167, few);
  EXPECT_THAT(run.logits_grad, Near({0.02834861991852355, 0.10569756886073216, -0.13404618877925578,
                                     0.21625111696659632, -0.38098100258477097, 0.1647298856181746},
                                    few));
  EXPECT_EQ(run.metrics.correct, 1) << "hits are of the labels as they are";
}

TEST_P(CrossEntropyTest, RefusesASmoothingThatIsNone) {
  const auto metrics = backend().make_metrics();
  const Variable logits = place(backend(), zeros({2, 3}));
  const TensorPtr labels = place(backend(), labels_of({0, 0}), false).value;
  for (const double bad : {-0.1, 1.0, 2.0, std::nan("")}) {
    EXPECT_THAT(usage_error([&] { backend().make_cross_entropy(logits, labels, *metrics, 0, bad); }),
                HasSubstr("label smoothing"));
  }
}

TEST_P(CrossEntropyTest, SurvivesHugeLogits) {
  const LossRun run = run_loss(backend(), {{2, 3}, {1e4, -1e4, 0, -1e4, -1e4, -1e4}}, labels_of({1, 0}));
  // F.cross_entropy as above: (20000 + log 3) / 2.
  EXPECT_NEAR(run.metrics.last_loss, 10000.549306144334, 2e4 * backend().epsilon());
  EXPECT_THAT(run.logits_grad, Near({0.5, -0.5, 0, -1.0 / 3, 1.0 / 6, 1.0 / 6}, 8 * backend().epsilon()));
}

// exp(z - max) of `classes` terms are summed. Their common error is that of the sum; a loss also carries the
// rounding of the logits themselves, and a gradient none of it: z - max is small where exp(z - max) counts.
TEST_P(CrossEntropyTest, IsWithinRounding) {
  for (const double scale : {1.0, 1e4}) {
    for (const std::int64_t classes : {1, 2, 3, 10, 17, 33, 1025}) {
      for (const std::int64_t batch : {1, 5}) {
        SCOPED_TRACE(testing::Message() << batch << " x " << classes << ", logits near " << scale);
        const HostTensor logits = normals({batch, classes}, 1, 0.0, scale),
                         labels = random_labels(batch, classes, 2);
        const double smoothing = batch == 1 ? 0.0 : 0.2;
        const LossRun actual = run_loss(backend(), logits, labels, smoothing),
                      expected = run_loss(truth(), logits, labels, smoothing);
        const double sum = sum_tolerance(classes) + 8 * backend().epsilon();
        EXPECT_NEAR(actual.metrics.last_loss, expected.metrics.last_loss,
                    sum + 8 * scale * backend().epsilon());
        EXPECT_EQ(actual.metrics.correct, expected.metrics.correct);
        EXPECT_THAT(actual.logits_grad, Near(expected.logits_grad, sum / static_cast<double>(batch)));
      }
    }
  }
}

TEST_P(CrossEntropyTest, TakesFlattenedPlanes) {
  for (const Shape& images : {Shape{3, 17, 1, 1}, Shape{3, 1, 4, 5}, Shape{3, 5, 3, 2}, Shape{3, 16, 2, 2}}) {
    SCOPED_TRACE(images.str());
    const std::int64_t classes = images.count() / 3;
    const HostTensor flat = normals({3, classes}, 1), labels = random_labels(3, classes, 2);
    const LossRun run = run_loss(backend(), {images, flat.values}, labels);
    const LossRun expected = run_loss(backend(), flat, labels);
    EXPECT_EQ(run.metrics.last_loss, expected.metrics.last_loss);
    EXPECT_THAT(run.logits_grad, Exactly(expected.logits_grad));
  }
}

TEST_P(CrossEntropyTest, ANanIsALossOfNan) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LossRun run = run_loss(backend(), {{1, 3}, {1, nan, 2}}, labels_of({0}));
  EXPECT_TRUE(std::isnan(run.metrics.last_loss));
  EXPECT_THAT(run.logits_grad, Exactly({nan, nan, nan}));
}

TEST_P(CrossEntropyTest, MetricsSumOverRaggedBatchesAndPhases) {
  const auto metrics = backend().make_metrics();
  const auto batch = [&](std::int64_t count, std::int64_t hits) {
    HostTensor logits = zeros({count, 2}), labels = zeros({count}, DType::int32);
    for (std::int64_t n = 0; n < count; ++n) labels.values[n] = n < hits ? 0 : 1;  // equal logits predict 0
    return backend().make_cross_entropy(place(backend(), logits), place(backend(), labels, false).value,
                                        *metrics);
  };
  const OperationPtr five = batch(5, 2), three = batch(3, 3);
  five->forward(Phase::training);
  five->forward(Phase::evaluation);
  three->forward(Phase::training);
  const double few = 13 * 4 * backend().epsilon();  // 13 losses are summed
  const MetricsReading reading = metrics->read();
  EXPECT_EQ(reading.samples, 13);
  EXPECT_EQ(reading.correct, 2 + 2 + 3);
  EXPECT_NEAR(reading.loss_sum, 13 * std::log(2.0), few);
  EXPECT_NEAR(reading.last_loss, std::log(2.0), few);

  metrics->reset();
  EXPECT_EQ(metrics->read().samples, 0);
  EXPECT_EQ(metrics->read().correct, 0);
  EXPECT_EQ(metrics->read().loss_sum, 0.0);
  EXPECT_EQ(metrics->read().last_loss, 0.0);
}

TEST_P(CrossEntropyTest, NeverReadsBesideTheLogits) {
  const auto metrics = backend().make_metrics();
  const Variable logits = place(backend(), zeros({2, 3}));
  const TensorPtr labels = place(backend(), labels_of({0, 0}), false).value;
  const OperationPtr loss = backend().make_cross_entropy(logits, labels, *metrics);
  for (const double bad : {3.0, -1.0, 2147483647.0}) {
    backend().write(*labels, Values{0, bad});
    if (!GetParam().sees_device_data) {  // all that a kernel can do about it
      loss->forward(Phase::training);
      EXPECT_TRUE(std::isnan(metrics->read().last_loss)) << bad;
      continue;
    }
    EXPECT_THROW(loss->forward(Phase::training), Error) << bad;
  }
  if (!GetParam().sees_device_data) return;
  EXPECT_EQ(metrics->read().samples, 0);
}

TEST_P(CrossEntropyTest, RefusesShapesThatDoNotFit) {
  const auto metrics = backend().make_metrics();
  const auto message = [&](const Shape& logits, const Shape& labels) {
    const TensorPtr placed = backend().make_tensor(labels, DType::int32);
    return usage_error(
        [&] { backend().make_cross_entropy(place(backend(), zeros(logits)), placed, *metrics); });
  };
  EXPECT_THAT(message({4, 10}, {5}), AllOf(HasSubstr("[4, 10]"), HasSubstr("[5]")));
  EXPECT_THAT(message({4, 10, 2, 1}, {4}), AllOf(HasSubstr("[4, 10, 2, 1]"), HasSubstr("[N, classes]")));
  EXPECT_THAT(message({4}, {4}), HasSubstr("[4]"));
}

INSTANTIATE_TEST_SUITE_P(, CrossEntropyTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
