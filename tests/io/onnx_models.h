// Networks for the tests of ONNX files.
#pragma once

#include <string>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/device.h"
#include "convoy/inference.h"
#include "convoy/model_file.h"
#include "convoy/state.h"
#include "engine/core/philox.h"

namespace convoy::test {

/// A network with each type of layer, and residuals of both kinds, one in the other.
inline Model every_layer() {
  return parse_model(R"({"name": "every-layer", "input": [2, 11, 9],
    "preparation": {"dataset": "mnist", "mean": [0.25, 0.5], "std": [0.5, 0.25], "framing": "mnist"},
    "layers": [
    {"name": "stem.conv", "type": "Conv2d", "in_channels": 2, "out_channels": 4, "kernel_size": [3, 2],
     "stride": [1, 2], "padding": [1, 0], "dilation": [2, 1], "groups": 2, "bias": false},
    {"name": "stem.bn", "type": "BatchNorm2d", "num_features": 4, "eps": 1e-3, "momentum": 0.25},
    {"name": "relu", "type": "ReLU"},
    {"name": "block", "type": "Residual", "body": [
       {"name": "conv1", "type": "Conv2d", "in_channels": 4, "out_channels": 6, "kernel_size": 3, "padding": 1},
       {"name": "inner", "type": "Residual", "body": [
         {"name": "gn", "type": "GroupNorm", "num_groups": 3, "num_channels": 6, "eps": 1e-4}]},
       {"name": "relu", "type": "ReLU"}], "shortcut": [
       {"name": "down.0", "type": "Conv2d", "in_channels": 4, "out_channels": 6, "kernel_size": 1},
       {"name": "down.1", "type": "GroupNorm", "num_groups": 2, "num_channels": 6, "affine": false}]},
    {"name": "pool1", "type": "MaxPool2d", "kernel_size": 3, "stride": 2, "padding": 1},
    {"name": "pool2", "type": "AvgPool2d", "kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": false},
    {"name": "pool3", "type": "AvgPool2d", "kernel_size": [2, 1], "stride": [1, 1], "padding": [1, 0]},
    {"name": "gap", "type": "GlobalAvgPool2d"},
    {"name": "flatten", "type": "Flatten"},
    {"name": "drop", "type": "Dropout", "p": 0.3},
    {"name": "fc1", "type": "Linear", "in_features": 6, "out_features": 5, "bias": false},
    {"name": "fc2", "type": "Linear", "in_features": 5, "out_features": 3}]})",
                     "every-layer");
}

/// Float weights, statistics and affine parameters that are not the initial ones.
inline StateDict moved_state(const Model& model) {
  StateDict state = initial_state(model, 3);
  PhiloxSequence random({.seed = 4, .stream = 0});
  for (auto& [name, tensor] : state) {
    const bool variance = name.ends_with("running_var");
    for (double& value : tensor.values) {
      if (tensor.dtype == DType::int64) continue;
      if (variance) value = random.uniform(0.5, 2.0);
      if (!variance && tensor.shape.rank() == 1) value += random.uniform(-0.3, 0.3);
      value = static_cast<float>(value);
    }
  }
  return state;
}

/// Byte i of the images is (37 i + 11) mod 256.
inline Dataset byte_ramp(const Model& model, std::int64_t count, Normalization normalization = {}) {
  Dataset images{.name = "ramp", .image = model.input, .classes = class_count(model)};
  images.labels.assign(static_cast<std::size_t>(count), 0);
  images.normalization = std::move(normalization);
  for (std::int64_t i = 0; i < count * model.input.count(); ++i) {
    images.pixels.push_back(static_cast<std::uint8_t>((37 * i + 11) % 256));
  }
  return images;
}

inline std::vector<double> logits_of(const Model& model, const StateDict& state, const Dataset& images) {
  const BackendChoice reference = make_backend("reference");
  return Inference(*reference.backend, model, state, images.count()).predict(images);
}

}  // namespace convoy::test
