#include "tests/backend/harness.h"

#include <gtest/gtest.h>

#include <limits>

namespace convoy {
namespace {

void poison(Backend& backend, const TensorPtr& tensor) {
  const auto count = static_cast<std::size_t>(tensor->shape().count());
  backend.write(*tensor, Values(count, std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace

Variable place(Backend& backend, const HostTensor& values, bool with_grad) {
  // Vectors are parameters and statistics, everything else an activation.
  const auto make = [&] {
    const bool activation = values.dtype == DType::float32 && values.shape.rank() > 1;
    return activation ? backend.make_activation(values.shape)
                      : backend.make_tensor(values.shape, values.dtype);
  };
  Variable variable{make(), nullptr};
  backend.write(*variable.value, values.values);
  if (with_grad) {
    variable.grad = make();
    poison(backend, variable.grad);
  }
  return variable;
}

std::unique_ptr<ParameterArena> place_parameters(Backend& backend, const std::vector<HostTensor>& values,
                                                 bool with_gradients) {
  std::vector<Shape> shapes;
  for (const HostTensor& tensor : values) shapes.push_back(tensor.shape);
  auto arena = backend.make_parameters(shapes, with_gradients);
  for (std::size_t i = 0; i < values.size(); ++i) {
    backend.write(*arena->variables()[i].value, values[i].values);
    if (with_gradients) poison(backend, arena->variables()[i].grad);
  }
  return arena;
}

LayerRun run_layer(Backend& backend, const LayerInput& input, const MakeOperation& make) {
  const Variable x = place(backend, input.x);
  const auto arena = place_parameters(backend, input.parameters);
  const auto parameters = arena->variables();
  const Variable weight = parameters.empty() ? Variable{} : parameters[0];
  const Variable bias = parameters.size() < 2 ? Variable{} : parameters[1];
  const OperationPtr operation = make(backend, x, weight, bias);
  backend.prepare();
  operation->forward(Phase::training);

  const Variable& y = operation->output();
  backend.write(*y.grad, input.upstream(y.value->shape()).values);
  operation->backward();

  LayerRun run{y.value->shape(), backend.read(*y.value), backend.read(*x.grad), {}};
  for (const Variable& parameter : parameters) run.parameter_grads.push_back(backend.read(*parameter.grad));
  return run;
}

void expect_equal(const LayerRun& actual, const LayerRun& expected) {
  expect_near(actual, expected, {0.0, 0.0, Values(expected.parameter_grads.size(), 0.0)});
}

void expect_near(const LayerRun& actual, const LayerRun& expected, const LayerTolerance& tolerance) {
  EXPECT_EQ(actual.shape, expected.shape);
  EXPECT_THAT(actual.output, RelativelyNear(expected.output, tolerance.output)) << "output";
  EXPECT_THAT(actual.x_grad, RelativelyNear(expected.x_grad, tolerance.x_grad)) << "x.grad";
  ASSERT_EQ(actual.parameter_grads.size(), expected.parameter_grads.size());
  for (std::size_t i = 0; i < expected.parameter_grads.size(); ++i) {
    EXPECT_THAT(actual.parameter_grads[i],
                RelativelyNear(expected.parameter_grads[i], tolerance.parameter_grads.at(i)))
        << (i == 0 ? "weight.grad" : "bias.grad");
  }
}

std::string usage_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no UsageError";
  return {};
}

}  // namespace convoy
