// What only the reference promises: it refuses what a faster backend may leave undefined.
#include <gtest/gtest.h>

#include <limits>

#include "engine/backend/reference/reference.h"
#include "tests/backend/backends.h"
#include "tests/backend/harness.h"

namespace convoy {
namespace {

using testing::HasSubstr;

class ReferenceTest : public BackendTest {};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST_P(ReferenceTest, HasNoInt64Tensors) {
  EXPECT_THAT(usage_error([&] { backend().make_tensor({2}, DType::int64); }), HasSubstr("int64"));
}

TEST_P(ReferenceTest, LabelsAreInt32) {
  const TensorPtr labels = backend().make_tensor({1}, DType::int32);
  backend().write(*labels, Values{-2147483647.0});
  EXPECT_THAT(backend().read(*labels), Exactly({-2147483647.0}));
  for (const double bad : {0.5, 2147483648.0, -1e300, kNan}) {
    EXPECT_THAT(usage_error([&] { backend().write(*labels, Values{bad}); }), HasSubstr("int32")) << bad;
  }
}

TEST_P(ReferenceTest, RefusesTensorsOfTheOtherKind) {
  const TensorPtr labels = backend().make_tensor({2, 3}, DType::int32);
  const TensorPtr reals = backend().make_tensor({2}, DType::float32);
  EXPECT_THAT(usage_error([&] { backend().make_relu({labels, nullptr}); }), HasSubstr("reals"));
  EXPECT_THAT(usage_error([&] { backend().make_relu({}); }), HasSubstr("missing"));
  const auto metrics = backend().make_metrics();
  const Variable logits = place(backend(), zeros({2, 3}));
  EXPECT_THAT(usage_error([&] { backend().make_cross_entropy(logits, reals, *metrics); }),
              HasSubstr("int32"));
}

struct ForeignMetrics final : Metrics {
  void reset() override {}
  MetricsReading read() const override { return {}; }
  void write(const MetricsReading&) override {}
};
struct ForeignDataset final : DeviceDataset {
  void set_order(std::span<const std::uint32_t>, std::int64_t, std::int64_t) override {}
};
struct ForeignParameters final : ParameterArena {};

TEST_P(ReferenceTest, RefusesObjectsOfAnotherBackend) {
  ForeignMetrics metrics;
  ForeignDataset dataset;
  ForeignParameters parameters;
  const Variable logits = place(backend(), zeros({2, 3}));
  const TensorPtr labels = backend().make_tensor({2}, DType::int32);
  const auto counter = backend().make_counter();
  EXPECT_THAT(usage_error([&] { backend().make_cross_entropy(logits, labels, metrics); }),
              HasSubstr("metrics"));
  EXPECT_THAT(usage_error([&] { backend().make_batch(dataset, logits.value, labels, {}); }),
              HasSubstr("data set"));
  EXPECT_THAT(usage_error([&] { backend().make_optimizer(parameters, *counter, AdamOptions{}); }),
              HasSubstr("parameters"));
  EXPECT_THAT(usage_error([&] { backend().make_average(parameters); }), HasSubstr("parameters"));
}

TEST_P(ReferenceTest, OptimizersNeedACounterThatCounts) {
  const auto arena = place_parameters(backend(), {zeros({3})});
  for (const OptimizerOptions& options : {OptimizerOptions(AdamOptions{}), OptimizerOptions(SgdOptions{})}) {
    const auto counter = backend().make_counter(step_rule(options));
    const auto optimizer = backend().make_optimizer(*arena, *counter, options);
    EXPECT_THROW(optimizer->step(), Error) << "step 0 has no learning rate";
  }
}

TEST_P(ReferenceTest, AWindowOfMinusInfinityHasAFirstMaximum) {  // F.max_pool2d does the same
  const LayerInput input{{{1, 1, 2, 2}, Values(4, -kInfinity)}, {}, [](const Shape& shape) {
                           return HostTensor{shape, {3}};
                         }};
  const LayerRun run = run_layer(
      backend(), input,
      [](Backend& b, const Variable& x, const Variable&, const Variable&) { return b.make_max_pool({}, x); });
  EXPECT_THAT(run.output, Exactly({-kInfinity}));
  EXPECT_THAT(run.x_grad, Exactly({3, 0, 0, 0}));
}

TEST_P(ReferenceTest, TheLastNanOfAWindowGetsTheGradient) {  // F.max_pool2d does the same
  const LayerInput input{{{1, 1, 2, 2}, {1, kNan, kNan, 2}}, {}, [](const Shape& shape) {
                           return HostTensor{shape, {3}};
                         }};
  const LayerRun run = run_layer(
      backend(), input,
      [](Backend& b, const Variable& x, const Variable&, const Variable&) { return b.make_max_pool({}, x); });
  EXPECT_THAT(run.output, Exactly({kNan}));
  EXPECT_THAT(run.x_grad, Exactly({0, 0, 3, 0}));
}

TEST_P(ReferenceTest, PredictsTheFirstNanLikeArgmax) {  // torch.argmax(torch.tensor([1, nan, 3, nan])) is 1
  const auto metrics = backend().make_metrics();
  const Variable logits =
      place(backend(), {{4, 4}, {1, kNan, 3, kNan, 1, kNan, 3, kNan, 1, kNan, 3, kNan, 1, 2, 3, 0}});
  const Variable labels = place(backend(), {{4}, {1, 3, 2, 2}, DType::int32}, false);
  backend().make_cross_entropy(logits, labels.value, *metrics)->forward(Phase::evaluation);
  EXPECT_EQ(metrics->read().correct, 2);
}

INSTANTIATE_TEST_SUITE_P(, ReferenceTest,
                         testing::Values(BackendFactory{"reference", [] { return make_reference_backend(); }},
                                         BackendFactory{"reference-double", make_double_reference_backend}),
                         backend_name);

}  // namespace
}  // namespace convoy
