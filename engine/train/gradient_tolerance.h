// How far rounding may move the output and the gradients of a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/host_tensor.h"
#include "convoy/model.h"

namespace convoy {

/// The largest magnitude; 0 of nothing.
double largest(const std::vector<double>& values);

/// What an error in the gradient of that name is measured against: the largest gradient in its layer. Within
/// a layer, because a bias in front of a batch norm has the gradient zero: what is computed there is the
/// rounding of sums as large as its weight's.
double gradient_scale(const StateDict& gradients, const std::string& name);

/// The error that a backend of that epsilon may make in the output, relative to its largest entry, and in a
/// gradient, relative to its scale: from the longest sum in the model and its number of layers.
double gradient_tolerance(const Model& model, std::int64_t batch, double epsilon);

}  // namespace convoy
