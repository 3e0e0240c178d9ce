#include "apps/convoy/final_test.h"

#include <chrono>
#include <utility>

namespace convoy {

bool shows_samples(const TrainFlags& flags) { return !flags.no_report || flags.tensorboard; }

Tested test_trained(Trainer& trainer, const Dataset& images, bool with_logits) {
  const auto start = std::chrono::steady_clock::now();
  Tested tested;
  if (with_logits) {
    DetailedEvaluation detailed = trainer.evaluate_in_detail(images);
    tested.evaluation.result = detailed.total;
    tested.logits = std::move(detailed.logits);
  } else {
    tested.evaluation.result = trainer.evaluate(images);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  tested.evaluation.seconds = elapsed.count();
  return tested;
}

}  // namespace convoy
