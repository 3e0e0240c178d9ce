// Which graphs each layer is made of. They are functions of shapes alone, so that tests plan them for GPUs
// that are not there.
#pragma once

#include "engine/backend/checks.h"
#include "engine/backend/cuda/graph/graph.h"

namespace convoy::cuda {

// Convolution, with the ReLU behind it if `relu`. `type` is that of activations and weights; the bias is
// fp32.
graph::Graph conv2d_forward_graph(const Conv2d& layer, bool relu, const Shape& x, graph::DataType type);
graph::Graph conv2d_backward_data_graph(const Conv2d& layer, const Shape& x, graph::DataType type);
graph::Graph conv2d_backward_weight_graph(const Conv2d& layer, const Shape& x, graph::DataType type);

// Batch norm in training, with the ReLU behind it if `relu`. Parameters and statistics are fp32. (Evaluation
// is one pass of an own kernel: cuDNN has no norm engine for it, and compiles a chain of pointwise operations
// instead.)
graph::Graph batch_norm_training_graph(const Shape& x, bool relu, graph::DataType type);
graph::Graph batch_norm_backward_graph(const Shape& x, bool relu, graph::DataType type);

// Pooling.
graph::Graph pool_forward_graph(const PoolWindow& window, graph::Pooling pooling, const Shape& x,
                                graph::DataType type);
graph::Graph pool_backward_graph(const PoolWindow& window, graph::Pooling pooling, const Shape& x,
                                 graph::DataType type);

}  // namespace convoy::cuda
