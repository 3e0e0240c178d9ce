// An operation that can be done in several ways: which one, the device is asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// One of them.
struct Way {
  std::string name;  // for caches
  OperationPtr operation;
  std::vector<PlanRow> rows;  // that the table of plans has of it, beside those of its graphs
};

/// Adds a way's rows to the table of plans, with `note` behind their notes.
void report_way(Context& context, const Way& way, const std::string& note);

/// Has gradients, and the ways have its output. The next prepare() executes forward and backward of each, in
/// CUDA graphs, keeps the fastest, the first of equals, and frees the others with all that only they hold.
/// Until then, it is an error to execute it.
class TunedOperation final : public Operation {
 public:
  /// `key` is what PlanStore::keep_fastest_way keeps it under. Timing overwrites the gradient of the input
  /// and the output; `kept` are tensors that must come out of it as they were.
  TunedOperation(Context& context, std::string key, std::vector<Way> ways, std::vector<TensorPtr> kept);
  ~TunedOperation() override;

  void forward(Phase phase) override;
  void backward() override;

 private:
  class Choice;
  std::shared_ptr<Choice> choice_;
};

}  // namespace convoy::cuda
