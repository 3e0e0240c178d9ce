// The accuracy on images that are held out of the training, after every epoch.
#pragma once

#include <memory>
#include <optional>

#include "apps/convoy/run_folder.h"
#include "apps/convoy/terminal.h"
#include "convoy/trainer.h"

namespace convoy {

class Validation {
 public:
  /// With a folder, its best.ckpt is the model after the epoch with the best accuracy so far; null: nothing
  /// is written. All must outlive this.
  Validation(Trainer& trainer, const Dataset& held_out, const RunFolder* folder);

  /// Before the first step: compiles and uploads.
  void prepare();

  /// Evaluates, in a group together, and writes best.ckpt if it is the best; says so if that cannot be
  /// written. Throws Error if the device fails.
  Evaluation after_epoch(std::int64_t epoch);

  /// What to go on with: {"epoch": 3, "accuracy": 0.991}; null before the first epoch.
  Json best() const;
  /// Takes that over. Throws Error if it is something else.
  void restore(const Json& best);

 private:
  struct Best {
    std::int64_t epoch;
    double accuracy;
  };

  Trainer& trainer_;
  const Dataset& held_out_;
  const RunFolder* folder_;
  std::unique_ptr<Evaluator> evaluator_;
  std::optional<Best> best_;
};

}  // namespace convoy
