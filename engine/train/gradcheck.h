// Are the gradients right? Every layer against finite differences in double, and every backend against that.
#pragma once

#include <string>
#include <vector>

#include "convoy/model.h"
#include "engine/backend/backend.h"

namespace convoy {

/// A small model to differentiate, with the batch size to do it at.
struct GradcheckCase {
  std::string name;  // "Conv2d k3x2 s2x1 p1 d2 g2"
  Model model;
  std::int64_t batch = 1;
  bool cross_entropy = false;  // differentiate the loss; else a fixed random weighting of the output
};

/// Every layer type with odd shapes (stride, padding, dilation, groups, ragged batch), then the whole
/// ConvNet.
std::vector<GradcheckCase> gradcheck_cases();

/// The largest error of one case on one backend: of the output relative to its largest entry, of a gradient
/// to the largest in its layer.
struct GradcheckResult {
  std::string name;
  std::string backend;
  std::string worst;  // where: "input", "layer1.0.weight", "output", "fc.bias is missing"
  double error = 0.0;
  double tolerance = 0.0;

  /// Keeps this error if it is the largest so far. A NaN is the largest of all.
  void keep_worst(const std::string& where, double another);

  bool passed() const { return error <= tolerance; }  // false for NaN
};

/// Central differences of the double reference against its own backward.
GradcheckResult check_against_differences(const GradcheckCase& c);

/// Output and gradients of `backend` against the double reference, with a tolerance from the backend's
/// epsilon, the longest sum in the case and its number of layers.
GradcheckResult check_against_reference(const GradcheckCase& c, Backend& backend);

}  // namespace convoy
