// Batch norm, alone and with its ReLU, in training and in evaluation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class BatchNormTest : public BackendTest {};

struct BatchNormInput {
  BatchNorm2d layer;
  HostTensor x, weight, bias, running_mean, running_var;
};

/// A batch norm on one backend with everything it is connected to.
class PlacedBatchNorm {
 public:
  PlacedBatchNorm(Backend& backend, const BatchNormInput& input, bool fuse_relu)
      : backend_(backend),
        x_(place(backend, input.x)),
        arena_(place_parameters(backend, {input.weight, input.bias})),
        tensors_{arena_->variables()[0], arena_->variables()[1],
                 place(backend, input.running_mean, false).value,
                 place(backend, input.running_var, false).value},
        operation_(backend.make_batch_norm(input.layer, fuse_relu, x_, tensors_)) {
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
  void set_x(const HostTensor& x) { backend_.write(*x_.value, x.values); }

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

BatchNormInput random_input(const Shape& x, double mean = 0.0, std::uint64_t seed = 1) {
  const Shape channels{x[1]};
  BatchNormInput input{.layer = {.num_features = x[1]},
                       .x = normals(x, seed, mean),
                       .weight = normals(channels, seed + 1),
                       .bias = normals(channels, seed + 2),
                       .running_mean = normals(channels, seed + 3),
                       .running_var = normals(channels, seed + 4)};
  for (double& variance : input.running_var.values) variance = 0.25 + std::abs(variance);
  return input;
}

// bn = nn.BatchNorm2d(2, eps=1e-3, momentum=0.25).double(); weight [1.5, -0.5], bias [0.25, 0.125],
// running_mean [0.5, -1], running_var [2, 4]
BatchNormInput pytorch_input() {
  return {.layer = {.num_features = 2, .eps = 1e-3, .momentum = 0.25},
          .x = {{2, 2, 2, 2}, {1, 2, 4, 8, -1, 0, 3, 5, 2, -2, 0.5, 1.5, 0, 1, -3, 2}},
          .weight = {{2}, {1.5, -0.5}},
          .bias = {{2}, {0.25, 0.125}},
          .running_mean = {{2}, {0.5, -1}},
          .running_var = {{2}, {2, 4}}};
}

const Values kPytorchUpstream = {1, -1, 2, 0, 0.5, 1, -2, 3, -1, 2, 0, 1, 1, 0.25, -0.5, 2};

/// Of a channel of M elements: its two sums, and a few roundings of values near 1.
double tolerance(double epsilon, const Shape& x) {
  return epsilon * (8 + 4 * std::sqrt(static_cast<double>(x[0] * x[2] * x[3])));
}

TEST_P(BatchNormTest, NormalisesKnownNumbersByHand) {
  // Channel 0 is 1, 3: mean 2, biased variance 1, unbiased 2. Channel 1 is -4, 4: mean 0, 16 and 32.
  const BatchNormInput input{.layer = {.num_features = 2, .eps = 0.0, .momentum = 0.5},
                             .x = {{2, 2, 1, 1}, {1, -4, 3, 4}},
                             .weight = {{2}, {2, 1}},
                             .bias = {{2}, {10, 0}},
                             .running_mean = {{2}, {0, 1}},
                             .running_var = {{2}, {1, 0}}};
  PlacedBatchNorm bn(backend(), input, false);
  const double few = 4 * backend().epsilon();
  EXPECT_THAT(bn.forward(Phase::training), RelativelyNear({8, -1, 12, 1}, few));
  EXPECT_THAT(bn.running_mean(), RelativelyNear({1, 0.5}, few));
  EXPECT_THAT(bn.running_var(), RelativelyNear({1.5, 16}, few));
}

TEST_P(BatchNormTest, AgreesWithPyTorchInTraining) {
  PlacedBatchNorm bn(backend(), pytorch_input(), false);
  const double allowed = 16 * backend().epsilon();
  EXPECT_THAT(
      bn.forward(Phase::training),
      RelativelyNear({-0.36938075615238064, 0.18117991598306882, 1.2823012602539676, 3.4845439487957655,
                      0.5299241599479626, 0.3139646079757159, -0.3339140479410243, -0.7658331518855177,
                      0.18117991598306882, -2.021062772558729, -0.6446610922201054, -0.09410042008465591,
                      0.3139646079757159, 0.09800505600346918, 0.9618432638924561, -0.11795449596877755},
                     allowed));
  EXPECT_THAT(bn.running_mean(), RelativelyNear({0.90625, -0.53125}, allowed));
  EXPECT_THAT(bn.running_var(), RelativelyNear({3.6205357142857144, 4.53125}, allowed));
  bn.backward(kPytorchUpstream);
  EXPECT_THAT(
      bn.x_grad(),
      RelativelyNear({0.21269871275946678, -0.8327945219040918, 0.9301437137169375, 0.0515348078754002,
                      -0.057435783183160546, -0.11678651214057773, 0.676979284862281, -0.30556038094154025,
                      -0.8327945219040918, 0.596375056072895, -0.3656760141796529, 0.240512767563137,
                      -0.11678651214057773, 0.0938121988673135, 0.061265674731673804, -0.23548797005541205},
                     allowed));
  EXPECT_THAT(bn.weight_grad(), RelativelyNear({-2.202242688541798, 4.170718847464015}, allowed));
  EXPECT_THAT(bn.bias_grad(), RelativelyNear({4, 5.25}, allowed));
}

TEST_P(BatchNormTest, AgreesWithPyTorchInTrainingWithRelu) {  // bn(x).relu()
  PlacedBatchNorm bn(backend(), pytorch_input(), true);
  const double allowed = 16 * backend().epsilon();
  EXPECT_THAT(bn.forward(Phase::training),
              RelativelyNear({0, 0.18117991598306882, 1.2823012602539676, 3.4845439487957655,
                              0.5299241599479626, 0.3139646079757159, 0, 0, 0.18117991598306882, 0, 0, 0,
                              0.3139646079757159, 0.09800505600346918, 0.9618432638924561, 0},
                             allowed));
  bn.backward(kPytorchUpstream);
  EXPECT_THAT(
      bn.x_grad(),
      RelativelyNear({0.041721082205505314, -0.5459249963348378, 1.0315862072617235, -0.21787676262875,
                      -0.040454331110068284, -0.15205374490091736, 0.053046893657152275, 0.04580761804770087,
                      -0.5459249963348378, 0.15297730142018615, 0.060263785407952124, 0.023178379003058507,
                      -0.15205374490091736, 0.006296281273541997, 0.18274449647162985, 0.05666653146187798},
                     allowed));
  EXPECT_THAT(bn.weight_grad(), RelativelyNear({1.4681617923611987, -0.31044185596010465}, allowed));
  EXPECT_THAT(bn.bias_grad(), RelativelyNear({0, 2.25}, allowed));
}

TEST_P(BatchNormTest, AgreesWithPyTorchInEvaluation) {  // bn.eval(), after one training step from above
  PlacedBatchNorm bn(backend(), pytorch_input(), false);
  bn.forward(Phase::training);
  const Values mean = bn.running_mean(), variance = bn.running_var();
  EXPECT_THAT(
      bn.forward(Phase::evaluation),
      RelativelyNear({0.3238951864462339, 1.1121105085393956, 2.688541152725719, 5.841402441098365,
                      0.23509164378571762, 0.00022947037618670056, -0.7043570498524061, -1.1740813966714678,
                      1.1121105085393956, -2.0407507798332514, -0.07021247460034696, 0.7180028474928147,
                      0.00022947037618670056, -0.23463270303334421, 0.7048159906047794, -0.46949487644287513},
                     16 * backend().epsilon()));
  EXPECT_THAT(bn.running_mean(), Exactly(mean)) << "evaluation must not move the running statistics";
  EXPECT_THAT(bn.running_var(), Exactly(variance));
}

const Shape kShapes[] = {{4, 1, 5, 5},  {3, 3, 7, 2},  {1, 17, 6, 5},
                         {5, 33, 3, 3}, {2, 16, 1, 1}, {8, 16, 14, 14}};

TEST_P(BatchNormTest, IsWithinRoundingInTraining) {
  for (const bool fuse_relu : {false, true}) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(shape.str() + (fuse_relu ? " with ReLU" : ""));
      const BatchNormInput input = random_input(shape);
      PlacedBatchNorm actual(backend(), input, fuse_relu), expected(truth(), input, fuse_relu);
      const double allowed = tolerance(backend().epsilon(), shape);
      const Values before_relu = PlacedBatchNorm(truth(), input, false).forward(Phase::training);
      for (const double y : before_relu) {  // else the side of the kink is a matter of rounding
        ASSERT_GT(std::abs(y), allowed) << "choose another seed";
      }

      EXPECT_THAT(actual.forward(Phase::training),
                  RelativelyNear(expected.forward(Phase::training), allowed));
      const Values upstream = normals(shape, 9).values;
      actual.backward(upstream);
      expected.backward(upstream);
      EXPECT_THAT(actual.x_grad(), RelativelyNear(expected.x_grad(), allowed));
      EXPECT_THAT(actual.weight_grad(), RelativelyNear(expected.weight_grad(), allowed));
      EXPECT_THAT(actual.bias_grad(), RelativelyNear(expected.bias_grad(), allowed));
    }
  }
}

// Neither an outlier where the sums begin nor a large plane may cost the variance its digits.
TEST_P(BatchNormTest, KeepsItsDigitsWithAnOutlierFirstAndOnLargePlanes) {
  for (const Shape& shape : {Shape{20, 1, 28, 28}, Shape{1, 2, 300, 200}}) {
    SCOPED_TRACE(shape.str());
    BatchNormInput input = random_input(shape);
    input.x.values[0] = 1000.0;
    PlacedBatchNorm actual(backend(), input, false), expected(truth(), input, false);
    actual.forward(Phase::training);
    expected.forward(Phase::training);
    // A double sum of squares whose terms were rounded to float: one rounding in each, and two in the result.
    EXPECT_THAT(actual.running_var(), RelativelyNear(expected.running_var(), 4 * backend().epsilon()));
  }
}

TEST_P(BatchNormTest, FollowsTheBatchesAndThenEvaluatesByThem) {
  for (const bool fuse_relu : {false, true}) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(shape.str() + (fuse_relu ? " with ReLU" : ""));
      const BatchNormInput input = random_input(shape);
      PlacedBatchNorm actual(backend(), input, fuse_relu), expected(truth(), input, fuse_relu);
      const double allowed = tolerance(backend().epsilon(), shape);
      for (std::uint64_t step = 0; step < 5; ++step) {
        const HostTensor x = normals(shape, 20 + step, 0.5, 2.0);
        actual.set_x(x);
        expected.set_x(x);
        actual.forward(Phase::training);
        expected.forward(Phase::training);
      }
      // Each step forgets a tenth, so errors of five steps stay below five times that of one.
      EXPECT_THAT(actual.running_mean(), RelativelyNear(expected.running_mean(), 5 * allowed));
      EXPECT_THAT(actual.running_var(), RelativelyNear(expected.running_var(), 5 * allowed));
      EXPECT_THAT(actual.forward(Phase::evaluation),
                  RelativelyNear(expected.forward(Phase::evaluation), 10 * allowed));
    }
  }
}

// The mean is rounded to epsilon times itself, a few times over, so that is what xhat may be off by. A
// variance by E[x^2] - E[x]^2 would be off by epsilon mean^2.
TEST_P(BatchNormTest, KeepsItsPrecisionFarFromZero) {
  const double mean = 100.0;
  const BatchNormInput input = random_input({8, 3, 6, 6}, mean);
  PlacedBatchNorm actual(backend(), input, false), expected(truth(), input, false);
  EXPECT_THAT(actual.forward(Phase::training),
              RelativelyNear(expected.forward(Phase::training), 8 * mean * backend().epsilon()));
}

TEST_P(BatchNormTest, RefusesShapesThatDoNotFit) {
  const auto message = [&](const Shape& x, const Shape& weight, const Shape& running_var) {
    const BatchNormInput input{.layer = {.num_features = 3},
                               .x = zeros(x),
                               .weight = zeros(weight),
                               .bias = zeros({3}),
                               .running_mean = zeros({3}),
                               .running_var = zeros(running_var)};
    return usage_error([&] { PlacedBatchNorm(backend(), input, false); });
  };
  EXPECT_THAT(message({2, 4, 5, 5}, {3}, {3}),
              AllOf(HasSubstr("BatchNorm2d"), HasSubstr("[2, 4, 5, 5]"), HasSubstr("weight [3]")));
  EXPECT_THAT(message({2, 3}, {3}, {3}), HasSubstr("[2, 3]"));
  EXPECT_THAT(message({2, 3, 5, 5}, {4}, {3}), AllOf(HasSubstr("[4]"), HasSubstr("[3]")));
  EXPECT_THAT(message({2, 3, 5, 5}, {3}, {3, 1}), AllOf(HasSubstr("[3, 1]"), HasSubstr("[3]")));
  EXPECT_THAT(message({1, 3, 1, 1}, {3}, {3}), HasSubstr("[1, 3, 1, 1]"));
}

// One element a channel has no variance, but needs none to be normalised by a running one.
TEST_P(BatchNormTest, EvaluatesOneElementAChannel) {
  const auto arena = place_parameters(backend(), {{{2}, {3, -1}}, {{2}, {1, 0}}}, /*with_gradients=*/false);
  const auto p = arena->variables();
  const Variable x = place(backend(), {{1, 2, 1, 1}, {5, 7}}, false);
  const OperationPtr norm =
      backend().make_batch_norm({.num_features = 2, .eps = 0.0}, /*fuse_relu=*/true, x,
                                {p[0], p[1], place(backend(), {{2}, {1, 2}}, false).value,
                                 place(backend(), {{2}, {4, 1}}, false).value});
  backend().prepare();
  norm->forward(Phase::evaluation);
  EXPECT_THAT(backend().read(*norm->output().value), Exactly({3 * (5 - 1) / 2 + 1, 0}));
  EXPECT_THAT(usage_error([&] { norm->forward(Phase::training); }), HasSubstr("[1, 2, 1, 1]"));
}

INSTANTIATE_TEST_SUITE_P(, BatchNormTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
