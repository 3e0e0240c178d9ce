/// @file
/// Makes a trained model faster to evaluate. With fixed statistics a batch norm only scales and shifts each
/// channel, which the convolution in front of it can do with its own weights and bias.
#pragma once

#include "convoy/model.h"
#include "convoy/state.h"

namespace convoy {

/// A model with fewer batch norms, and its weights.
struct FoldedModel {
  Model model;      ///< its Conv2d layers with folded batch norms have a bias
  StateDict state;  ///< of that model, in its `state_dict()` order
};

/// Removes every BatchNorm2d directly behind a Conv2d, also inside Residuals. The convolution gets
///   s = gamma / sqrt(running_var + eps),  weight' = s weight,  bias' = beta + (bias - running_mean) s,
/// computed in double and not rounded, so that the model computes the same in evaluation as before. Layers
/// keep their names. A batch norm stays where a variance is negative or NaN, or where a result would not be a
/// finite float. Throws Error if `state` is not the model's (see check_state).
FoldedModel fold_batch_norm(const Model& model, const StateDict& state);

}  // namespace convoy
