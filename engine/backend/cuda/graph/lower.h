// Our graph in cuDNN's descriptors.
#pragma once

#include "engine/backend/cuda/graph/descriptor.h"
#include "engine/backend/cuda/graph/graph.h"

namespace convoy::cuda::graph {

/// A finalised operation graph, to be planned for a described device. Throws CudnnError.
Descriptor lower(const Graph& graph);

}  // namespace convoy::cuda::graph
