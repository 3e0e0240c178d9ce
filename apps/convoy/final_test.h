// The test behind a training.
#pragma once

#include <vector>

#include "apps/convoy/train_flags.h"
#include "apps/convoy/train_report.h"
#include "convoy/trainer.h"

namespace convoy {

struct Tested {
  TimedEvaluation evaluation;
  std::vector<double> logits;  // of every test image, if they were asked for
};

/// Whether the page about the training, or TensorBoard, shows test images with what the model says of them.
bool shows_samples(const TrainFlags& flags);

/// One pass over the test images. In a group all ranks call it alike, and rank 0 gets the logits.
Tested test_trained(Trainer& trainer, const Dataset& images, bool with_logits);

}  // namespace convoy
