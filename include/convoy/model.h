/// @file
/// A network as data: the shape of an image, and the named layers. Nothing here computes with tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/layers.h"
#include "convoy/preparation.h"
#include "convoy/shape.h"

namespace convoy {

/// A network. Each layer takes the output of the one in front of it; a Residual branches inside itself.
struct Model {
  std::string name;                ///< for messages and model files: "convnet"
  Shape input;                     ///< [C, H, W] of one image
  std::vector<NamedLayer> layers;  ///< in the order in which they run; the last one puts out [N, classes]
  std::optional<Preparation> preparation;  ///< how its training images were made, if that is known
};

/// One layer of a model at one batch size. The layers of a Residual's body and shortcut come in front of the
/// Residual's own entry, which stands for the addition.
struct LayerInfo {
  std::string name;                 ///< the full state-dict prefix: "res1.body.0"
  const Layer* layer;               ///< points into the model, which must outlive this
  Shape input;                      ///< [N, ...]; for a Residual: the input of its body
  Shape output;                     ///< [N, ...]
  std::int64_t parameters = 0;      ///< trainable elements
  std::int64_t forward_flops = 0;   ///< two per multiply-add; convolutions and linear layers only
  std::int64_t backward_flops = 0;  ///< as above; no input gradient if no layer in front has parameters
};

/// Infers the shapes of the whole model for a batch of that many images. Throws UsageError that names the
/// layer, for shapes that do not fit, settings out of range, bad or repeated names, and models that are too
/// large; also for a batch below 1.
std::vector<LayerInfo> infer(const Model& model, std::int64_t batch);

/// The number of classes that the model puts out. Throws UsageError as `infer`, and unless the model's output
/// is [N, classes].
std::int64_t class_count(const Model& model);

/// A table to print: each layer's name, type, output shape, parameters and FLOPs of a training step with that
/// batch size. The last line has the totals. Throws UsageError as `infer`.
std::string summary(const Model& model, std::int64_t batch);

}  // namespace convoy
