// Batch norm with the ReLU and the max pool behind it as one operation: what the three do one after another.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class BatchNormPoolTest : public BackendTest {};

struct Input {
  MaxPool2d pool;
  HostTensor x, weight, bias;
  BatchNorm2d layer = {};
};

Input random_input(const Shape& x, const MaxPool2d& pool, double mean = 0.0) {
  return {.pool = pool,
          .x = normals(x, 1, mean),
          .weight = normals({x[1]}, 2),  // some negative: the largest x is then the least y
          .bias = normals({x[1]}, 3),
          .layer = {.num_features = x[1]}};
}

/// The operation, or the two that it stands for, with everything it is connected to.
class Placed {
 public:
  Placed(Backend& backend, const Input& input, bool with_gradients = true)
      : backend_(backend),
        x_(place(backend, input.x, with_gradients)),
        arena_(place_parameters(backend, {input.weight, input.bias}, with_gradients)),
        tensors_{
            arena_->variables()[0], arena_->variables()[1],
            place(backend, normals(input.weight.shape, 4), false).value,
            place(backend, HostTensor{input.weight.shape, Values(input.weight.values.size(), 0.5)}, false)
                .value},
        operation_(backend.make_batch_norm_pool(input.layer, input.pool, x_, tensors_)) {
    backend.prepare();
  }

  Values forward(Phase phase) {
    operation_->forward(phase);
    return backend_.read(*operation_->output().value);
  }
  void backward(const Values& upstream) {
    backend_.write(*operation_->output().grad, upstream);
    operation_->backward();
  }
  void set_x(const Values& x) { backend_.write(*x_.value, x); }

  const Shape& shape() const { return operation_->output().value->shape(); }
  bool has_gradient() const { return operation_->output().grad != nullptr; }
  Values x_grad() const { return backend_.read(*x_.grad); }
  Values weight_grad() const { return backend_.read(*tensors_.weight.grad); }
  Values bias_grad() const { return backend_.read(*tensors_.bias.grad); }
  Values running_mean() const { return backend_.read(*tensors_.running_mean); }
  Values running_var() const { return backend_.read(*tensors_.running_var); }

 private:
  Backend& backend_;
  Variable x_;
  std::unique_ptr<ParameterArena> arena_;
  BatchNormTensors tensors_;
  OperationPtr operation_;
};

/// Of a channel of M elements: its two sums, and a few roundings of values near 1.
double tolerance(double epsilon, const Shape& x) {
  return epsilon * (8 + 4 * std::sqrt(static_cast<double>(x[0] * x[2] * x[3])));
}

struct Case {
  Shape x;
  MaxPool2d pool;
};

const Case kCases[] = {
    {{4, 16, 28, 28}, {}},  // the ConvNet's
    {{3, 32, 14, 14}, {}},
    {{4, 1, 6, 6}, {}},
    {{2, 17, 7, 9}, {}},  // a row and a column are in no window
    {{3, 3, 9, 8}, {.kernel_size = {3, 2}}},
    {{2, 33, 8, 9}, {.kernel_size = {2, 2}, .stride = {3, 4}}},  // gaps between the windows
    {{5, 8, 4, 6}, {.kernel_size = {4, 6}}},                     // one window
    {{4, 12, 3, 3}, {.kernel_size = {1, 1}}},
    {{2, 16, 32, 17}, {.kernel_size = {16, 16}}},  // more taps than a byte counts
    {{9, 24, 2, 2}, {}},
};

TEST_P(BatchNormPoolTest, NormalisesRectifiesAndPoolsByHand) {
  // Channel 0 is 1, 3, 1, 3: mean 2, variance 1, so -1 and 1, and y = 2 xhat + 0.5. Channel 1 has a negative
  // weight, so that its least x wins; channel 2 is below 0 everywhere.
  const Input input{.pool = {},
                    .x = {{1, 3, 2, 2}, {1, 3, 1, 3, 5, 7, 7, 5, 1, 3, 3, 1}},
                    .weight = {{3}, {2, -1, 0.5}},
                    .bias = {{3}, {0.5, 0, -1}},
                    .layer = {.num_features = 3, .eps = 0.0, .momentum = 0.5}};
  Placed op(backend(), input);
  const double few = 4 * backend().epsilon();
  EXPECT_THAT(op.forward(Phase::training), RelativelyNear({2.5, 1, 0}, few));
  op.backward({8, 4, 100});
  // g is 8 at the first 3, and xhat 1 there: sum 8, sum of g xhat 8. dx = 2 (g - 8/4 - xhat 8/4).
  // Channel 1: g is 4 at the first 5, where xhat is -1: sum 4, sum of g xhat -4. dx = -(g - 1 + xhat).
  EXPECT_THAT(op.x_grad(), RelativelyNear({0, 8, 0, -8, -2, 0, 0, 2, 0, 0, 0, 0}, few));
  EXPECT_THAT(op.weight_grad(), RelativelyNear({8, -4, 0}, few));
  EXPECT_THAT(op.bias_grad(), RelativelyNear({8, 4, 0}, few));
}

TEST_P(BatchNormPoolTest, IsWithinRoundingInTraining) {
  for (const auto& [shape, pool] : kCases) {
    SCOPED_TRACE(shape.str());
    const Input input = random_input(shape, pool);
    Placed actual(backend(), input), expected(truth(), input);
    const double allowed = tolerance(backend().epsilon(), shape);
    EXPECT_EQ(actual.shape(), expected.shape());
    EXPECT_THAT(actual.forward(Phase::training), RelativelyNear(expected.forward(Phase::training), allowed));
    EXPECT_THAT(actual.running_mean(), RelativelyNear(expected.running_mean(), allowed));
    EXPECT_THAT(actual.running_var(), RelativelyNear(expected.running_var(), allowed));
    const Values upstream = normals(expected.shape(), 9).values;
    actual.backward(upstream);
    expected.backward(upstream);
    EXPECT_THAT(actual.x_grad(), RelativelyNear(expected.x_grad(), allowed));
    EXPECT_THAT(actual.weight_grad(), RelativelyNear(expected.weight_grad(), allowed));
    EXPECT_THAT(actual.bias_grad(), RelativelyNear(expected.bias_grad(), allowed));
  }
}

TEST_P(BatchNormPoolTest, EvaluatesByTheRunningStatistics) {
  for (const bool with_gradients : {false, true}) {
    for (const auto& [shape, pool] : kCases) {
      SCOPED_TRACE(shape.str());
      const Input input = random_input(shape, pool);
      Placed actual(backend(), input, with_gradients), expected(truth(), input, with_gradients);
      EXPECT_EQ(actual.has_gradient(), with_gradients);
      const Values mean = actual.running_mean(), variance = actual.running_var();
      EXPECT_THAT(actual.forward(Phase::evaluation),
                  RelativelyNear(expected.forward(Phase::evaluation), 16 * backend().epsilon()));
      EXPECT_THAT(actual.running_mean(), Exactly(mean)) << "evaluation must not move the running statistics";
      EXPECT_THAT(actual.running_var(), Exactly(variance));
    }
  }
}

// As in BatchNormTest: the mean is rounded to epsilon times itself, a few times over.
TEST_P(BatchNormPoolTest, KeepsItsPrecisionFarFromZero) {
  const double mean = 100.0;
  const Input input = random_input({8, 3, 6, 6}, {}, mean);
  Placed actual(backend(), input), expected(truth(), input);
  EXPECT_THAT(actual.forward(Phase::training),
              RelativelyNear(expected.forward(Phase::training), 8 * mean * backend().epsilon()));
}

// Small integers, a mean of 0 and a weight of 1 keep ties of x ties of y: the first of them gets the
// gradient.
TEST_P(BatchNormPoolTest, SendsTheGradientOfATieToTheFirst) {
  const Input input{.pool = {},
                    .x = {{1, 1, 4, 4}, {-1, 1, 1, -1, 1, 1, -1, 1, -1, -1, 1, 1, -1, -1, 1, -1}},
                    .weight = {{1}, {1}},
                    .bias = {{1}, {0}},
                    .layer = {.num_features = 1, .eps = 0.0}};
  Placed actual(backend(), input), expected(truth(), input);
  const double few = 8 * backend().epsilon();
  EXPECT_THAT(actual.forward(Phase::training), RelativelyNear({1, 1, 0, 1}, few));
  EXPECT_THAT(expected.forward(Phase::training), RelativelyNear({1, 1, 0, 1}, few));
  actual.backward({1, 2, 4, 8});
  expected.backward({1, 2, 4, 8});
  EXPECT_THAT(actual.x_grad(), RelativelyNear(expected.x_grad(), few));
}

TEST_P(BatchNormPoolTest, PassesANanOn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Input input = random_input({2, 3, 4, 4}, {});
  input.x.values[17] = nan;  // of channel 1: none of the others may see it
  Placed op(backend(), input);
  const Values y = op.forward(Phase::training);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 4 % 3 == 1) << i;
}

TEST_P(BatchNormPoolTest, HasTheSameBitsInEveryRun) {
  const Input input = random_input({16, 20, 12, 10}, {});
  const Values upstream = normals({16, 20, 6, 5}, 9).values;
  Placed first(backend(), input), second(backend(), input);
  EXPECT_THAT(second.forward(Phase::training), Exactly(first.forward(Phase::training)));
  first.backward(upstream);
  second.backward(upstream);
  EXPECT_THAT(second.x_grad(), Exactly(first.x_grad()));
  EXPECT_THAT(second.weight_grad(), Exactly(first.weight_grad()));
  first.forward(Phase::training);  // a second run leaves nothing of the first behind
  first.backward(upstream);
  EXPECT_THAT(second.x_grad(), Exactly(first.x_grad()));
}

// x is an image: nobody wants its gradient, but the parameters want theirs.
TEST_P(BatchNormPoolTest, ComputesOnlyTheGradientsThatAreWanted) {
  const Input input = random_input({4, 5, 6, 6}, {});
  const auto run = [&](Backend& on) {
    const Variable x = place(on, input.x, /*with_grad=*/false);
    const auto arena = place_parameters(on, {input.weight, input.bias});
    const auto p = arena->variables();
    const OperationPtr op = on.make_batch_norm_pool(input.layer, input.pool, x,
                                                    {p[0],
                                                     {p[1].value, nullptr},
                                                     place(on, zeros({5}), false).value,
                                                     place(on, zeros({5}), false).value});
    on.prepare();
    op->forward(Phase::training);
    on.write(*op->output().grad, normals({4, 5, 3, 3}, 9).values);
    op->backward();
    return on.read(*p[0].grad);
  };
  EXPECT_THAT(run(backend()), RelativelyNear(run(truth()), tolerance(backend().epsilon(), input.x.shape)));
}

TEST_P(BatchNormPoolTest, RefusesWhatDoesNotFit) {
  const auto message = [&](const Shape& x, const Shape& weight, const MaxPool2d& pool) {
    const Input input{.pool = pool,
                      .x = zeros(x),
                      .weight = zeros(weight),
                      .bias = zeros(weight),
                      .layer = {.num_features = 3}};
    return usage_error([&] { Placed(backend(), input); });
  };
  EXPECT_THAT(message({2, 4, 5, 5}, {3}, {}), AllOf(HasSubstr("BatchNorm2d"), HasSubstr("[2, 4, 5, 5]")));
  EXPECT_THAT(message({2, 3, 5, 5}, {4}, {}), AllOf(HasSubstr("[4]"), HasSubstr("[3]")));
  EXPECT_THAT(message({2, 3, 5, 1}, {3}, {}), AllOf(HasSubstr("MaxPool2d"), HasSubstr("[2, 3, 5, 1]")));
  EXPECT_THAT(message({2, 3, 5, 5}, {3}, {.kernel_size = {3, 3}, .stride = {2, 2}}), HasSubstr("overlap"));
  EXPECT_THAT(message({2, 3, 5, 5}, {3}, {.padding = {1, 1}}), HasSubstr("padded"));
}

INSTANTIATE_TEST_SUITE_P(, BatchNormPoolTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
