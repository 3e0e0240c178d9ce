// Our graph in cuDNN's descriptors.
#pragma once

#include "engine/backend/cuda/dnn/descriptor.h"
#include "engine/backend/cuda/dnn/operation_graph.h"

namespace convoy::cuda::dnn {

/// A finalised operation graph, to be planned by `handle`, or for a described device if that is null. Throws
/// CudnnError.
Descriptor lower(const OperationGraph& graph, cudnnHandle_t handle = nullptr);

}  // namespace convoy::cuda::dnn
