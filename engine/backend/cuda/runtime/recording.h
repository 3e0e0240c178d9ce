// A sequence of enqueued work as CUDA graphs.
#pragma once

#include <functional>
#include <map>

#include "engine/backend/cuda/runtime/capture.h"
#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// Replays `sequence`. The first time it runs as it is: CUDA loads kernels, and libraries allocate what they
/// keep for a stream. After that it is captured, once alone and once options().steps_per_launch times in a
/// row, and every run launches as few of these CUDA graphs as it can. A sequence that cannot be captured runs
/// as it is for good, and options().say is told so once.
class Recording final : public Replay {
 public:
  Recording(Context& context, std::function<void()> sequence);

  void run(std::int64_t times) override;
  std::optional<CudaGraphSize> cuda_graph() const override { return size_; }

 private:
  /// The CUDA graph of `repeats` sequences, captured on first use; null if it cannot be: then none ever will.
  cudaGraphExec_t cuda_graph_of(std::int64_t repeats);
  /// Throws Error if any call in the sequence may not be captured.
  CudaGraphExec capture_repeats(std::int64_t repeats);

  Context& context_;
  std::function<void()> sequence_;
  bool warm_ = false;   // it has run once
  bool plain_ = false;  // it is not captured
  std::map<std::int64_t, CudaGraphExec> cuda_graphs_;
  std::optional<CudaGraphSize> size_;
};

}  // namespace convoy::cuda
