// A trained model made faster to evaluate: what a batch norm does with fixed statistics, the convolution in
// front of it can do by itself.
#pragma once

#include "engine/model/model.h"
#include "engine/model/state.h"

namespace convoy {

struct FoldedModel {
  Model model;
  StateDict state;  // of that model, in its order
};

/// The same function of an image in evaluation: every BatchNorm2d directly behind a Conv2d is gone, in
/// Residuals too, and the convolution has a bias and weights to match,
///   s = gamma / sqrt(running_var + eps),  weight' = s weight,  bias' = beta + (bias - running_mean) s,
/// computed in double and not rounded. Layers keep their names. A norm whose variances or results are no
/// finite floats stays as it is, so that it evaluates as ever. Throws Error if `state` is not the model's
/// (see check_state).
FoldedModel fold_batch_norm(const Model& model, const StateDict& state);

}  // namespace convoy
