// Between a training on a backend and its snapshot.
#pragma once

#include <functional>
#include <memory>
#include <semaphore>

#include "convoy/snapshot.h"
#include "engine/backend/step_state.h"

namespace convoy {

struct TrainingState;  // engine/train/step.h

/// Takes snapshots of a training, one at a time.
class SnapshotTaker {
 public:
  /// Allocates room for the copies. The state must outlive this.
  explicit SnapshotTaker(const TrainingState& state);

  /// Enqueues a copy of everything as it is now. The function that is returned waits for it, and for nothing
  /// behind it; it is called once at most, from any thread. Throws UsageError while an earlier one lives.
  std::function<TrainingSnapshot()> begin();

 private:
  TrainingSnapshot finish(TrainingSnapshot snapshot);

  const TrainingState& state_;
  std::unique_ptr<Stager> stager_;
  std::binary_semaphore free_{1};
};

/// Overwrites everything, except for an average that `state` does not keep. The model's state must have
/// passed check_state. Throws Error, and changes nothing, if the tensors are not those of the state's
/// optimizer and parameters.
void restore_snapshot(TrainingState& state, const TrainingSnapshot& snapshot);

}  // namespace convoy
