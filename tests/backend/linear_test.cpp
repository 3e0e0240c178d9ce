// Linear on every backend, with flat inputs and with images.
#include <gtest/gtest.h>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class LinearTest : public BackendTest {};

struct LinearCase {
  const char* name;
  Shape x;
  Linear layer;

  Shape weight() const { return {layer.out_features, layer.in_features}; }
};

std::vector<LinearCase> linear_cases() {
  return {
      {"one of everything", {1, 1}, {.in_features = 1, .out_features = 1}},
      {"3 to 17", {5, 3}, {.in_features = 3, .out_features = 17}},
      {"33 to 10 without bias", {7, 33}, {.in_features = 33, .out_features = 10, .bias = false}},
      {"batch of one", {1, 64}, {.in_features = 64, .out_features = 33}},
      {"images", {3, 3, 5, 7}, {.in_features = 105, .out_features = 10}},
      {"images of 17 channels", {2, 17, 3, 2}, {.in_features = 102, .out_features = 3}},
      {"images of one pixel", {4, 33, 1, 1}, {.in_features = 33, .out_features = 5, .bias = false}},
      {"last of the ConvNet", {4, 32, 7, 7}, {.in_features = 1568, .out_features = 10}},
  };
}

MakeOperation linear(const Linear& layer) {
  return [layer](Backend& backend, const Variable& x, const Variable& weight, const Variable& bias) {
    return backend.make_linear(layer, backend.flatten(x), weight, bias);
  };
}

TEST_P(LinearTest, AgreesWithPyTorch) {
  // F.linear(x, w, b).backward(torch.tensor([[1, -2], [3, 0.5]])); every value is exact in binary.
  const LayerInput input{{{2, 3}, {1, 2, -1, 0.5, 0, 4}},
                         {{{2, 3}, {1, 0, 2, -1, 3, 0.5}}, {{2}, {0.25, -4}}},
                         [](const Shape& shape) {
                           return HostTensor{shape, {1, -2, 3, 0.5}};
                         }};
  const LayerRun run = run_layer(backend(), input, linear({.in_features = 3, .out_features = 2}));
  EXPECT_EQ(run.shape, (Shape{2, 2}));
  EXPECT_THAT(run.output, Exactly({-0.75, 0.5, 8.75, -2.5}));
  EXPECT_THAT(run.x_grad, Exactly({3, -6, 1, 2.5, 1.5, 6.25}));
  EXPECT_THAT(run.parameter_grads[0], Exactly({2.5, 2, 11, -1.75, -4, 4}));
  EXPECT_THAT(run.parameter_grads[1], Exactly({4, -1.5}));
}

// The longest sum is 1568 products of at most 9, far below 2^24.
TEST_P(LinearTest, IsExactOnIntegers) {
  for (const LinearCase& c : linear_cases()) {
    SCOPED_TRACE(c.name);
    LayerInput input{small_integers(c.x, 3, 1), {small_integers(c.weight(), 3, 2)}, [](const Shape& shape) {
                       return small_integers(shape, 3, 3);
                     }};
    if (c.layer.bias) input.parameters.push_back(small_integers({c.layer.out_features}, 3, 4));
    expect_equal(run_layer(backend(), input, linear(c.layer)), run_layer(truth(), input, linear(c.layer)));
  }
}

TEST_P(LinearTest, IsWithinRoundingOnReals) {
  for (const LinearCase& c : linear_cases()) {
    SCOPED_TRACE(c.name);
    LayerInput input{
        normals(c.x, 1), {normals(c.weight(), 2)}, [](const Shape& shape) { return normals(shape, 3); }};
    if (c.layer.bias) input.parameters.push_back(normals({c.layer.out_features}, 4));
    expect_near(run_layer(backend(), input, linear(c.layer)), run_layer(truth(), input, linear(c.layer)),
                {.output = sum_tolerance(c.layer.in_features + 1),
                 .x_grad = sum_tolerance(c.layer.out_features),
                 .parameter_grads = {sum_tolerance(c.x[0]), sum_tolerance(c.x[0])}});
  }
}

TEST_P(LinearTest, TrainsABiasAlone) {
  const Variable x = place(backend(), {{2, 3}, {1, 2, -1, 0.5, 0, 4}}, false),
                 weight = place(backend(), {{2, 3}, {1, 0, 2, -1, 3, 0.5}}, false);
  const auto arena = place_parameters(backend(), {{{2}, {0.25, -4}}});
  const OperationPtr operation =
      backend().make_linear({.in_features = 3, .out_features = 2}, x, weight, arena->variables()[0]);
  backend().prepare();
  operation->forward(Phase::training);
  backend().write(*operation->output().grad, {{1, -2, 3, 0.5}});
  operation->backward();
  EXPECT_THAT(backend().read(*arena->variables()[0].grad), Exactly({4, -1.5}));
}

TEST_P(LinearTest, FlattensImagesInRowMajorOrder) {
  const HostTensor images = small_integers({2, 3, 2, 2}, 3, 1), weight = small_integers({5, 12}, 3, 2);
  const auto upstream = [](const Shape& shape) { return small_integers(shape, 3, 3); };
  const MakeOperation make = linear({.in_features = 12, .out_features = 5, .bias = false});
  const LayerRun run = run_layer(backend(), {images, {weight}, upstream}, make);
  const LayerRun flat = run_layer(backend(), {{{2, 12}, images.values}, {weight}, upstream}, make);
  expect_equal(run, flat);
}

// A backend may keep a weight in the order of the images; nobody sees that.
TEST_P(LinearTest, NetworksOfSeveralBatchSizesShareAWeightBehindAFlatten) {
  const HostTensor weight = normals({5, 12}, 1);
  const auto arena = place_parameters(backend(), {weight});
  const Variable& parameter = arena->variables()[0];
  const Linear layer{.in_features = 12, .out_features = 5, .bias = false};
  std::vector<OperationPtr> operations;
  for (const std::int64_t batch : {4, 3}) {
    const Variable x = place(backend(), normals({batch, 3, 2, 2}, 2));
    operations.push_back(backend().make_linear(layer, backend().flatten(x), parameter, {}));
    EXPECT_THAT(backend().read(*parameter.value), Exactly(weight.values));
    backend().prepare();
    operations.back()->forward(Phase::training);
  }
  const Values four = backend().read(*operations[0]->output().value);
  EXPECT_THAT(backend().read(*operations[1]->output().value),
              RelativelyNear(Values(four.begin(), four.begin() + 15), sum_tolerance(12)));
}

TEST_P(LinearTest, RefusesShapesThatDoNotFit) {
  const Linear layer{.in_features = 12, .out_features = 5};
  const auto message = [&](const Shape& x, const Shape& weight, const Shape& bias) {
    const Variable input = place(backend(), zeros(x));
    const auto arena = place_parameters(backend(), {zeros(weight), zeros(bias)});
    return usage_error(
        [&] { backend().make_linear(layer, input, arena->variables()[0], arena->variables()[1]); });
  };
  EXPECT_THAT(message({2, 13}, {5, 12}, {5}),
              AllOf(HasSubstr("Linear"), HasSubstr("[2, 13]"), HasSubstr("[5, 12]")));
  EXPECT_THAT(message({2, 3, 2, 3}, {5, 12}, {5}), AllOf(HasSubstr("[2, 3, 2, 3]"), HasSubstr("12")));
  EXPECT_THAT(message({2, 12}, {12, 5}, {5}), AllOf(HasSubstr("[12, 5]"), HasSubstr("[5, 12]")));
  EXPECT_THAT(message({2, 12}, {5, 2, 3, 2}, {5}), AllOf(HasSubstr("[5, 2, 3, 2]"), HasSubstr("[5, 12]")));
  EXPECT_THAT(message({2, 12}, {5, 12}, {4}), AllOf(HasSubstr("[4]"), HasSubstr("[5]")));
}

TEST_P(LinearTest, WantsABiasExactlyIfTheLayerHasOne) {
  Linear layer{.in_features = 3, .out_features = 2};
  const Variable x = place(backend(), zeros({1, 3}));
  const auto arena = place_parameters(backend(), {zeros({2, 3}), zeros({2})});
  const auto parameters = arena->variables();
  EXPECT_THAT(usage_error([&] { backend().make_linear(layer, x, parameters[0], {}); }), HasSubstr("bias"));
  layer.bias = false;
  EXPECT_THAT(usage_error([&] { backend().make_linear(layer, x, parameters[0], parameters[1]); }),
              AllOf(HasSubstr("bias"), HasSubstr("[2]")));
}

INSTANTIATE_TEST_SUITE_P(, LinearTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
