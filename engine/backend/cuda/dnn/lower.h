// Our graph in cuDNN's descriptors.
#pragma once

#include "engine/backend/cuda/dnn/descriptor.h"
#include "engine/backend/cuda/dnn/operation_graph.h"

namespace convoy::cuda::dnn {

/// A finalised operation graph, to be planned for a described device. Throws CudnnError.
Descriptor lower(const OperationGraph& graph);

}  // namespace convoy::cuda::dnn
