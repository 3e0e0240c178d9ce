// Runs one operation on any backend and reads everything it wrote.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/backend.h"
#include "tests/backend/compare.h"

namespace convoy {

/// A tensor on `backend` with those values. Its gradient, if any, is full of NaN: what an operation forgets
/// to overwrite, or adds to, does not match.
Variable place(Backend& backend, const HostTensor& values, bool with_grad = true);

/// Trainable tensors on `backend`, with NaN in the gradients.
std::unique_ptr<ParameterArena> place_parameters(Backend& backend, const std::vector<HostTensor>& values,
                                                 bool with_gradients = true);

/// What an operation is run on. `parameters` are its weight and bias, or empty.
struct LayerInput {
  HostTensor x;
  std::vector<HostTensor> parameters;
  std::function<HostTensor(const Shape&)> upstream;  // the gradient that arrives, from the output's shape
};

/// What came of it.
struct LayerRun {
  Shape shape;  // of the output
  Values output;
  Values x_grad;
  std::vector<Values> parameter_grads;
};

/// Makes the operation from x and the parameters (an absent one is an empty Variable).
using MakeOperation =
    std::function<OperationPtr(Backend&, const Variable& x, const Variable& weight, const Variable& bias)>;

/// Forward in training, then backward.
LayerRun run_layer(Backend& backend, const LayerInput& input, const MakeOperation& make);

void expect_equal(const LayerRun& actual, const LayerRun& expected);

/// Tolerances relative to the largest element of each tensor.
struct LayerTolerance {
  double output = 0.0;
  double x_grad = 0.0;
  std::vector<double> parameter_grads;
};

void expect_near(const LayerRun& actual, const LayerRun& expected, const LayerTolerance& tolerance);

/// The message of the UsageError that `action` throws; a failure of the test if it throws none.
std::string usage_error(const std::function<void()>& action);

}  // namespace convoy
