// A sequence of enqueued work as CUDA graphs.
#pragma once

#include <functional>
#include <map>

#include "engine/backend/cuda/runtime/capture.h"
#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// Replays `sequence`. The first time it runs as it is: plans are loaded, libraries allocate what they keep
/// for a stream. After that it is captured, once alone and once options().steps_per_launch times in a row,
/// and every run launches as few of these graphs as it can. A sequence that cannot be captured runs as it is
/// for good, and options().say is told so once.
class Recording final : public Replay {
 public:
  Recording(Context& context, std::function<void()> sequence);

  void run(std::int64_t times) override;
  std::optional<RecordedGraph> graph() const override { return recorded_; }

 private:
  /// The graph of `repeats` sequences, captured on first use; null if it cannot be: then none ever will.
  cudaGraphExec_t graph_of(std::int64_t repeats);
  /// Throws Error if any call in the sequence may not be captured.
  GraphExec record(std::int64_t repeats);

  Context& context_;
  std::function<void()> sequence_;
  bool warm_ = false;   // it has run once
  bool plain_ = false;  // it is not captured
  std::map<std::int64_t, GraphExec> graphs_;
  std::optional<RecordedGraph> recorded_;
};

}  // namespace convoy::cuda
