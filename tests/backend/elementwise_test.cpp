// ReLU, add, fork and dropout on every backend.
#include <gtest/gtest.h>

#include <limits>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ElementwiseTest : public BackendTest {};

const Shape kShapes[] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {3, 17, 4, 3}, {2, 33}, {1, 16, 8, 8}};

const MakeOperation kRelu = [](Backend& backend, const Variable& x, const Variable&, const Variable&) {
  return backend.make_relu(x);
};

TEST_P(ElementwiseTest, ReluByHand) {
  const LayerInput input{{{1, 4}, {-1, 0, 2, -0.0}}, {}, [](const Shape& shape) {
                           return HostTensor{shape, {1, 2, 3, 4}};
                         }};
  const LayerRun run = run_layer(backend(), input, kRelu);
  EXPECT_THAT(run.output, Exactly({0, 0, 2, 0}));
  EXPECT_THAT(run.x_grad, Exactly({0, 0, 3, 0})) << "the gradient at 0 is 0";
}

TEST_P(ElementwiseTest, ReluPassesANanOn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LayerInput input{{{1, 2}, {nan, -1}}, {}, [](const Shape& shape) {
                           return HostTensor{shape, {4, 5}};
                         }};
  const LayerRun run = run_layer(backend(), input, kRelu);
  EXPECT_THAT(run.output, Exactly({nan, 0}));
  EXPECT_THAT(run.x_grad, Exactly({4, 0}));
}

TEST_P(ElementwiseTest, ReluIsExact) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(shape.str());
    const LayerInput input{
        small_integers(shape, 4, 1), {}, [](const Shape& s) { return small_integers(s, 4, 2); }};
    const LayerRun run = run_layer(backend(), input, kRelu);
    expect_equal(run, run_layer(truth(), input, kRelu));
    const MakeOperation flattened = [](Backend& b, const Variable& x, const Variable&, const Variable&) {
      return b.make_relu(b.flatten(x));
    };
    LayerRun flat = run_layer(backend(), input, flattened);
    EXPECT_EQ(flat.shape.rank(), 2u);
    flat.shape = run.shape;
    expect_equal(flat, run);
  }
}

TEST_P(ElementwiseTest, AddSendsTheSameGradientBothWays) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(shape.str());
    const HostTensor a = small_integers(shape, 100, 1), b = small_integers(shape, 100, 2),
                     upstream = small_integers(shape, 100, 3);
    const Variable placed_a = place(backend(), a), placed_b = place(backend(), b);
    const OperationPtr add = backend().make_add(placed_a, placed_b);
    add->forward(Phase::training);
    backend().write(*add->output().grad, upstream.values);
    add->backward();
    Values sum = a.values;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b.values[i];
    EXPECT_THAT(backend().read(*add->output().value), Exactly(sum));
    EXPECT_THAT(backend().read(*placed_a.grad), Exactly(upstream.values));
    EXPECT_THAT(backend().read(*placed_b.grad), Exactly(upstream.values));
  }
}

// The rows of two images of different extent, and rows that never were images: as many elements, in different
// orders of memory.
TEST_P(ElementwiseTest, AddMeetsElementsInRowMajorOrder) {
  const Shape shapes[] = {{2, 3, 4, 5}, {2, 4, 15, 1}, {2, 60}, {2, 60, 1, 1}};
  for (const Shape& first : shapes) {
    for (const Shape& second : shapes) {
      SCOPED_TRACE(first.str() + " and " + second.str());
      const HostTensor a = small_integers(first, 100, 1), b = small_integers(second, 100, 2),
                       upstream = small_integers({2, 60}, 100, 3);
      const Variable placed_a = place(backend(), a), placed_b = place(backend(), b);
      const OperationPtr add = backend().make_add(backend().flatten(placed_a), backend().flatten(placed_b));
      add->forward(Phase::training);
      backend().write(*add->output().grad, upstream.values);
      add->backward();
      Values sum = a.values;
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b.values[i];
      EXPECT_THAT(backend().read(*add->output().value), Exactly(sum));
      EXPECT_THAT(backend().read(*placed_a.grad), Exactly(upstream.values));
      EXPECT_THAT(backend().read(*placed_b.grad), Exactly(upstream.values));
    }
  }
}

TEST_P(ElementwiseTest, AddWantsAForkToAddAVariableToItself) {
  const HostTensor values = small_integers({2, 3}, 100, 1);
  const Variable x = place(backend(), values);
  EXPECT_THAT(usage_error([&] { backend().make_add(x, x); }), AllOf(HasSubstr("[2, 3]"), HasSubstr("fork")));
  const Variable images = place(backend(), zeros({2, 3, 4, 5}));
  EXPECT_THAT(usage_error([&] { backend().make_add(backend().flatten(images), backend().flatten(images)); }),
              HasSubstr("fork"))
      << "two views of one gradient";
  const OperationPtr add =
      backend().make_add({x.value, nullptr}, {x.value, nullptr});  // nobody differentiates
  add->forward(Phase::evaluation);
  Values twice = values.values;
  for (double& value : twice) value *= 2;
  EXPECT_THAT(backend().read(*add->output().value), Exactly(twice));
}

TEST_P(ElementwiseTest, AddRefusesDifferentShapes) {
  const Variable a = place(backend(), zeros({2, 3, 4, 5})), b = place(backend(), zeros({2, 3, 5, 4}));
  EXPECT_THAT(usage_error([&] { backend().make_add(a, b); }),
              AllOf(HasSubstr("[2, 3, 4, 5]"), HasSubstr("[2, 3, 5, 4]")));
}

TEST_P(ElementwiseTest, ForkAddsTheGradients) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(shape.str());
    const HostTensor x = small_integers(shape, 100, 1), first = small_integers(shape, 100, 2),
                     second = small_integers(shape, 100, 3);
    const Variable placed = place(backend(), x);
    const auto fork = backend().make_fork(placed);
    fork->forward(Phase::training);
    EXPECT_THAT(backend().read(*fork->output().value), Exactly(x.values));
    EXPECT_THAT(backend().read(*fork->second().value), Exactly(x.values));
    backend().write(*fork->output().grad, first.values);
    backend().write(*fork->second().grad, second.values);
    fork->backward();
    Values sum = first.values;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += second.values[i];
    EXPECT_THAT(backend().read(*placed.grad), Exactly(sum));
  }
}

/// The mask that the contract prescribes: 1 where the draw is not below p.
Values dropout_mask(double p, RandomStream random, std::uint32_t step, std::size_t count) {
  Values mask(count);
  for (std::size_t i = 0; i < count; ++i) mask[i] = double{uniform_at(random, step, i)} >= p ? 1.0 : 0.0;
  return mask;
}

Values nonzero(const Values& values) {
  Values mask(values.size());
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = values[i] != 0.0 ? 1.0 : 0.0;
  return mask;
}

HostTensor ones(const Shape& shape) {
  HostTensor tensor = zeros(shape);
  tensor.values.assign(tensor.values.size(), 1.0);
  return tensor;
}

TEST_P(ElementwiseTest, DropoutMasksAreTheSameEverywhere) {
  const RandomStream random{.seed = 0x123456789abcdef0, .stream = 7};
  for (const Shape& shape : kShapes) {
    for (const double p : {0.0, 0.1, 0.5, 0.7}) {
      SCOPED_TRACE(shape.str() + ", p = " + std::to_string(p));
      const auto counter = backend().make_counter();
      const Variable x = place(backend(), ones(shape));
      const OperationPtr dropout = backend().make_dropout({.p = p}, x, random, *counter);
      for (const std::uint32_t step : {1u, 2u}) {
        counter->advance();
        dropout->forward(Phase::training);
        backend().write(*dropout->output().grad, ones(shape).values);
        dropout->backward();
        Values scaled = dropout_mask(p, random, step, x.value->shape().count());
        EXPECT_THAT(nonzero(backend().read(*dropout->output().value)), Exactly(scaled));
        for (double& keep : scaled) keep /= 1.0 - p;
        EXPECT_THAT(backend().read(*dropout->output().value),
                    RelativelyNear(scaled, 2 * backend().epsilon()));
        EXPECT_THAT(backend().read(*x.grad), RelativelyNear(scaled, 2 * backend().epsilon()));
        const OperationPtr flat = backend().make_dropout({.p = p}, backend().flatten(x), random, *counter);
        flat->forward(Phase::training);
        EXPECT_THAT(backend().read(*flat->output().value), Exactly(backend().read(*dropout->output().value)));
      }
    }
  }
}

// p is a double and the draw a float: rounding p to float first would keep an element that falls just short.
TEST_P(ElementwiseTest, DropoutComparesInDouble) {
  const RandomStream random{.seed = 5};
  const std::uint32_t step = 3;
  double draw = 0.0;
  std::size_t index = 0;
  while (draw < 0.5) draw = uniform_at(random, step, ++index);
  const auto counter = backend().make_counter();
  counter->write(step);
  const Variable x = place(backend(), ones({1, 64}));
  ASSERT_LT(index, 64u);
  for (const double p : {draw, draw + 0x1p-40}) {
    const OperationPtr dropout = backend().make_dropout({.p = p}, x, random, *counter);
    dropout->forward(Phase::training);
    EXPECT_EQ(backend().read(*dropout->output().value)[index] != 0.0, p == draw);
  }
}

// As PyTorch's, it multiplies: a NaN stays, even where it is dropped.
TEST_P(ElementwiseTest, DropoutPassesANanOn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double p : {0.5, 1.0}) {
    const auto counter = backend().make_counter();
    const Variable x = place(backend(), {{2, 16}, Values(32, nan)});
    const OperationPtr dropout = backend().make_dropout({.p = p}, x, {}, *counter);
    dropout->forward(Phase::training);
    backend().write(*dropout->output().grad, Values(32, nan));
    dropout->backward();
    EXPECT_THAT(backend().read(*dropout->output().value), Exactly(Values(32, nan)));
    EXPECT_THAT(backend().read(*x.grad), Exactly(Values(32, nan)));
  }
}

TEST_P(ElementwiseTest, DropoutOfEverythingIsZero) {
  const auto counter = backend().make_counter();
  const Variable x = place(backend(), ones({4, 16}));
  const OperationPtr dropout = backend().make_dropout({.p = 1.0}, x, {}, *counter);
  dropout->forward(Phase::training);
  backend().write(*dropout->output().grad, ones({4, 16}).values);
  dropout->backward();
  EXPECT_THAT(backend().read(*dropout->output().value), Exactly(Values(64, 0.0)));
  EXPECT_THAT(backend().read(*x.grad), Exactly(Values(64, 0.0)));
}

TEST_P(ElementwiseTest, DropoutDoesNothingInEvaluation) {
  const HostTensor values = normals({3, 17, 2, 2}, 1);
  const auto counter = backend().make_counter();
  const OperationPtr dropout = backend().make_dropout({.p = 0.9}, place(backend(), values), {}, *counter);
  dropout->forward(Phase::evaluation);
  EXPECT_THAT(backend().read(*dropout->output().value), Exactly(values.values));
}

TEST_P(ElementwiseTest, DropoutRefusesWhatIsNoProbability) {
  const auto counter = backend().make_counter();
  const Variable x = place(backend(), zeros({2, 2}));
  for (const double p : {-0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(usage_error([&] { backend().make_dropout({.p = p}, x, {}, *counter); }),
                HasSubstr("Dropout"));
  }
}

INSTANTIATE_TEST_SUITE_P(, ElementwiseTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
