// A network as data: named layers and the image shape they expect. Nothing here computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/shape.h"
#include "engine/model/layers.h"

namespace convoy {

struct Model {
  std::string name;
  Shape input;  // [C, H, W] of one image
  std::vector<NamedLayer> layers;
};

/// One layer of a model at one batch size. A Residual's body and shortcut come first, then the Residual
/// itself, which stands for its addition.
struct LayerInfo {
  std::string name;    // the full state-dict prefix: "res1.body.0"
  const Layer* layer;  // into the model, which must outlive this
  Shape input;         // with the batch in front; a Residual's is that of its body
  Shape output;
  std::int64_t parameters = 0;      // trainable elements
  std::int64_t forward_flops = 0;   // two for a multiply-add; convolutions and linear layers only
  std::int64_t backward_flops = 0;  // without the input gradient where nothing in front is trained
};

/// Shape inference through the whole model. Throws UsageError that names the layer and both shapes.
std::vector<LayerInfo> infer(const Model& model, std::int64_t batch);

/// The number of classes: what the model's last layer puts out per image, which must be [N, classes].
/// Throws UsageError otherwise.
std::int64_t class_count(const Model& model);

/// A table of layers to be read by people: layer, output shape, parameters, FLOPs of a training step; totals
/// last.
std::string summary(const Model& model, std::int64_t batch);

}  // namespace convoy
