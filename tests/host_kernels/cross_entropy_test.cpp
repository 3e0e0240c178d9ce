#include "kernels/cross_entropy.h"

#include <cmath>
#include <tuple>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

struct Result {
  Elements dlogits;
  std::vector<float> losses;
  std::vector<std::int32_t> hits;
  double loss_sum, last_loss;
  std::int64_t correct, samples;
  unsigned arrived;
  bool operator==(const Result&) const = default;
};

struct Input {
  Elements logits;
  std::vector<std::int32_t> labels;
  std::int64_t classes;
  std::int64_t rows() const { return static_cast<std::int64_t>(labels.size()); }
  double logit(std::int64_t row, std::int64_t c) const {
    return logits[static_cast<std::size_t>(row * classes + c)];
  }
};

Input make_input(DType dtype, std::int64_t rows, std::int64_t classes) {
  std::vector<float> logits = uniform(rows * classes, -8, 8, 1);
  // Every third row lies far from zero: the exponentials overflow unless the maximum is taken off first.
  for (std::int64_t i = 0; i < rows * classes; ++i) {
    if (i / classes % 3 == 2) logits[static_cast<std::size_t>(i)] += 1000.0f;
  }
  PhiloxSequence sequence({.seed = 1, .stream = 2});
  std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
  for (std::int32_t& label : labels) {
    label = static_cast<std::int32_t>(sequence.below(static_cast<std::uint32_t>(classes)));
  }
  return {Elements(dtype, logits), labels, classes};
}

Result run(Input input, int batches = 1, bool gradient = true, float label_smoothing = 0.0f) {
  const std::int64_t rows = input.rows();
  std::vector<RowResult> results(static_cast<std::size_t>(rows));
  LossMetrics metrics{};
  Elements dlogits(input.logits.dtype(), rows * input.classes);
  for (int i = 0; i < batches; ++i) {
    cross_entropy({.logits = input.logits.data(),
                   .dlogits = gradient ? dlogits.data() : nullptr,
                   .dtype = input.logits.dtype(),
                   .labels = input.labels.data(),
                   .results = results.data(),
                   .rows = rows,
                   .classes = input.classes,
                   .label_smoothing = label_smoothing,
                   .metrics = &metrics},
                  nullptr);
  }
  Result result{dlogits,        {}, {}, metrics.loss_sum, metrics.last_loss, metrics.correct, metrics.samples,
                metrics.arrived};
  for (const RowResult& row : results) {
    result.losses.push_back(row.loss);
    result.hits.push_back(row.hit);
  }
  return result;
}

struct RowReference {
  double maximum;
  std::int64_t argmax;
  double sum;
};

RowReference row_reference(const Input& input, std::int64_t row) {
  RowReference result{input.logit(row, 0), 0, 0.0};
  for (std::int64_t c = 1; c < input.classes; ++c) {
    if (input.logit(row, c) > result.maximum) result = {input.logit(row, c), c, 0.0};
  }
  for (std::int64_t c = 0; c < input.classes; ++c)
    result.sum += std::exp(input.logit(row, c) - result.maximum);
  return result;
}

void compare(const Input& input, const Result& result, double smoothing = 0.0) {
  const auto rows = static_cast<double>(input.rows());
  // At least 32 threads share a row: each adds classes / 32 terms, then 8 levels of a tree; each exponential
  // and the logarithm err by at most 2 ulp.
  const double relative = kEpsilon * (static_cast<double>(input.classes) / 32 + 16);
  double loss_sum = 0.0;
  std::int64_t correct = 0;
  for (std::int64_t row = 0; row < input.rows(); ++row) {
    const auto label = input.labels[static_cast<std::size_t>(row)];
    const RowReference reference = row_reference(input, row);
    const double share = smoothing / static_cast<double>(input.classes);
    double loss = (1 - smoothing) * (reference.maximum - input.logit(row, label)) + std::log(reference.sum);
    for (std::int64_t c = 0; smoothing > 0.0 && c < input.classes; ++c) {
      loss += share * (reference.maximum - input.logit(row, c));
    }
    ASSERT_NEAR(result.losses[static_cast<std::size_t>(row)], loss, relative * (1 + loss)) << "row " << row;
    ASSERT_EQ(result.hits[static_cast<std::size_t>(row)], reference.argmax == label ? 1 : 0);
    loss_sum += loss;
    correct += reference.argmax == label;
    for (std::int64_t c = 0; c < input.classes; ++c) {
      const double probability = std::exp(input.logit(row, c) - reference.maximum) / reference.sum;
      const double gradient = (probability - (c == label ? 1.0 - smoothing : 0.0) - share) / rows;
      ASSERT_NEAR(result.dlogits[static_cast<std::size_t>(row * input.classes + c)], gradient,
                  relative / rows + result.dlogits.rounding() * std::abs(gradient))
          << "row " << row << " class " << c;
    }
  }
  EXPECT_NEAR(result.loss_sum, loss_sum, relative * (rows + loss_sum));
  EXPECT_NEAR(result.last_loss, loss_sum / rows, relative * (1 + loss_sum / rows));
  EXPECT_EQ(result.correct, correct);
  EXPECT_EQ(result.samples, input.rows());
  EXPECT_EQ(result.arrived, 0u);
}

using Case = std::tuple<std::int64_t, std::int64_t>;  // rows, classes

class CrossEntropyShapes : public testing::TestWithParam<Case> {};

TEST_P(CrossEntropyShapes, MatchTheDoubleReference) {
  const auto [rows, classes] = GetParam();
  for (const DType dtype : kDTypes) {
    SCOPED_TRACE(dtype == DType::float32 ? "fp32" : "bf16");
    const Input input = make_input(dtype, rows, classes);
    compare(input, in_every_order([&] { return run(input); }));
    compare(input, in_every_order([&] { return run(input, 1, true, 0.25f); }), 0.25);
  }
}

INSTANTIATE_TEST_SUITE_P(, CrossEntropyShapes,
                         testing::Values(Case{1, 1}, Case{9, 1}, Case{1, 2}, Case{8, 3}, Case{100, 10},
                                         Case{7, 31}, Case{5, 32}, Case{17, 33}, Case{4, 100}, Case{3, 512},
                                         Case{3, 513}, Case{2, 1000}, Case{3, 1025}, Case{1, 5000}));

TEST(CrossEntropy, WithoutSmoothingAnInfiniteLogitElsewhereCostsNothing) {
  const Input input{Elements(DType::float32, {0.0f, -INFINITY, 0.0f}), {0}, 3};
  EXPECT_TRUE(std::isfinite(run(input).last_loss));
  EXPECT_EQ(run(input, 1, true, 0.5f).last_loss, INFINITY) << "as in PyTorch";
}

TEST(CrossEntropy, EmptyBatchLeavesTheMetricsAlone) {
  const Result result = run({Elements(DType::float32, 0), {}, 10});
  EXPECT_EQ(result.loss_sum, 0.0);
  EXPECT_EQ(result.samples, 0);
}

TEST(CrossEntropy, BatchesAddUp) {
  const Input input = make_input(DType::float32, 20, 10);
  const Result one = run(input);
  const Result three = run(input, 3);
  EXPECT_DOUBLE_EQ(three.loss_sum, 3 * one.loss_sum);
  EXPECT_EQ(three.last_loss, one.last_loss);
  EXPECT_EQ(three.correct, 3 * one.correct);
  EXPECT_EQ(three.samples, 60);
}

TEST(CrossEntropy, WithoutGradientTheMetricsAreTheSame) {
  for (const std::int64_t classes : {10, 600}) {
    const Input input = make_input(DType::float32, 20, classes);
    const Result result = run(input, 1, false);
    EXPECT_EQ(result.loss_sum, run(input).loss_sum);
    EXPECT_EQ(result.dlogits, Elements(DType::float32, 20 * classes));
  }
}

TEST(CrossEntropy, ATieGoesToTheFirstMaximum) {
  for (const std::int64_t classes : {4, 100, 700}) {
    std::vector<float> logits(static_cast<std::size_t>(2 * classes), 0.25f);
    const Input input{Elements(DType::float32, logits), {0, 1}, classes};
    EXPECT_EQ(run(input).hits, (std::vector<std::int32_t>{1, 0}));
  }
}

TEST(CrossEntropy, NanMakesItsRowAndTheMeanNan) {
  for (const std::int64_t classes : {10, 600}) {
    Input input = make_input(DType::float32, 3, classes);
    input.logits.set(static_cast<std::size_t>(classes + 4), NAN);
    input.labels[1] = 4;
    const Result result = run(input);
    EXPECT_TRUE(std::isnan(result.last_loss));
    EXPECT_FALSE(std::isnan(result.losses[0]));
    EXPECT_TRUE(std::isnan(result.losses[1]));
    EXPECT_FALSE(std::isnan(result.losses[2]));
    EXPECT_EQ(result.hits[1], 1);  // as PyTorch's argmax has it
    EXPECT_TRUE(std::isnan(result.dlogits[static_cast<std::size_t>(classes)]));
    EXPECT_FALSE(std::isnan(result.dlogits[0]));
  }
}

TEST(CrossEntropy, MinusInfinityIsAProbabilityOfZero) {
  const Input input{Elements(DType::float32, {0.0f, -INFINITY, 0.0f}), {0}, 3};
  const Result result = run(input);
  EXPECT_NEAR(result.last_loss, std::log(2.0), 2 * kEpsilon);
  EXPECT_EQ(result.dlogits[1], 0.0f);
}

TEST(CrossEntropy, ALabelOutsideTheClassesGivesNan) {
  for (const std::int32_t label : {-1, 3}) {
    const Input input{Elements(DType::float32, {1.0f, 2.0f, 3.0f}), {label}, 3};
    EXPECT_TRUE(std::isnan(run(input).last_loss));
    EXPECT_EQ(run(input).correct, 0);
  }
}

}  // namespace
}  // namespace convoy::kernels
