// A sequence of enqueued work as one CUDA graph.
#pragma once

#include <functional>

#include "engine/backend/cuda/context.h"

namespace convoy::cuda {

/// Replays `sequence`. The first call runs it as it is: plans are loaded, libraries allocate what they keep
/// for a stream. The second captures it into a graph, which this and every later call launch. A sequence that
/// cannot be captured runs as it is for good, and `options().say` is told so once.
class Recording {
 public:
  Recording(Context& context, std::function<void()> sequence);

  void operator()();

 private:
  enum class State { fresh, warm, graph, plain };
  using GraphExec = Owner<cudaGraphExec_t, cudaGraphExecDestroy>;

  /// Throws Error if any call in the sequence may not be captured.
  GraphExec capture();

  Context& context_;
  std::function<void()> sequence_;
  State state_;
  GraphExec graph_;
};

}  // namespace convoy::cuda
