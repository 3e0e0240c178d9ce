// A data set through networks of its batch size and of the rest, without training: the one way in which
// Trainer and Inference evaluate.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "convoy/augmentation.h"
#include "convoy/dataset.h"
#include "convoy/evaluation.h"
#include "convoy/model.h"
#include "engine/train/step.h"

namespace convoy {

/// Throws UsageError unless the data set has images, the model's images, and no more classes than it.
void check_dataset_of(const Model& model, const Dataset& dataset);

/// What is evaluated. All of it must outlive the evaluator.
struct EvaluatedModel {
  NetworkState& state;
  const Model& model;
  std::int64_t batch_size;
  std::function<BatchNetwork&(std::int64_t batch)> network_of;
};

/// Uploads the data set; it need not outlive this call. Throws UsageError if it is not the model's (see
/// above).
std::unique_ptr<Evaluator> make_evaluator(const EvaluatedModel& evaluated, const Dataset& dataset,
                                          const TestTimeAugmentation& augmentation = {});

}  // namespace convoy
