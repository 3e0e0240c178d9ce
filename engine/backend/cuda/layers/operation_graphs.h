// Which graphs each layer is made of. They are functions of shapes alone, so that tests plan them for GPUs
// that are not there. They throw UsageError for a layer that does not fit `x`: cuDNN would accept some of
// those in silence, or assume groups that nobody asked for.
#pragma once

#include "engine/backend/cuda/dnn/operation_graph.h"

namespace convoy::cuda {

// Convolution, with the ReLU behind it if `relu`. `type` is that of activations and weights; the bias is
// fp32.
dnn::OperationGraph conv2d_forward_graph(const Conv2d& layer, bool relu, const Shape& x, DType type);
dnn::OperationGraph conv2d_backward_data_graph(const Conv2d& layer, const Shape& x, DType type);
dnn::OperationGraph conv2d_backward_weight_graph(const Conv2d& layer, const Shape& x, DType type);

// Batch norm in training, with the ReLU behind it if `relu`. Parameters and statistics are fp32. (Evaluation
// is one pass of an own kernel: cuDNN has no norm engine for it, and compiles a chain of pointwise operations
// instead.)
dnn::OperationGraph batch_norm_training_graph(const Shape& x, bool relu, DType type);
dnn::OperationGraph batch_norm_backward_graph(const Shape& x, bool relu, DType type);

// Pooling.
dnn::OperationGraph pool_forward_graph(const MaxPool2d& layer, const Shape& x, DType type);
dnn::OperationGraph pool_forward_graph(const AvgPool2d& layer, const Shape& x, DType type);
dnn::OperationGraph pool_backward_graph(const MaxPool2d& layer, const Shape& x, DType type);
dnn::OperationGraph pool_backward_graph(const AvgPool2d& layer, const Shape& x, DType type);

}  // namespace convoy::cuda
