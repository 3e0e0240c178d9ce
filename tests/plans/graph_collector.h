// A backend that computes nothing: it writes down the cuDNN graphs that the CUDA backend would make for the
// same calls. Driven by a real Network, so fusion and the choice of gradients are the engine's own.
#pragma once

#include <string>
#include <vector>

#include "convoy/model.h"
#include "engine/backend/cuda/dnn/operation_graph.h"

namespace convoy::test {

/// A graph and the layer that first asked for it.
struct LayerGraph {
  std::string layer;
  cuda::dnn::OperationGraph graph;
};

/// The distinct graphs of a training step of `model` (a Trainer's evaluation needs no others), in the order
/// of the layers. `type` is that of activations and weights. Throws UsageError for shapes that do not fit.
std::vector<LayerGraph> training_graphs(const Model& model, std::int64_t batch, DType type);

/// The same of an Inference, with its norms folded and nothing trained.
std::vector<LayerGraph> inference_graphs(const Model& model, std::int64_t batch, DType type);

}  // namespace convoy::test
