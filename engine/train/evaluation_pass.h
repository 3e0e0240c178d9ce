// A data set through networks of its batch size and of the rest, without training: the one way in which
// Trainer and Inference evaluate.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/model/model.h"
#include "engine/train/evaluation.h"
#include "engine/train/step.h"

namespace convoy {

/// Throws UsageError unless the data set has images, the model's images, and no more classes than it.
void check_dataset_of(const Model& model, const Dataset& dataset);

struct EvaluationPass {
  NetworkState& state;
  const Model& model;
  std::int64_t batch_size;
  std::function<BatchNetwork&(std::int64_t batch)> network_of;
};

/// Both throw UsageError for a data set that is not the model's (see above).
Evaluation evaluate(const EvaluationPass& pass, const Dataset& dataset);

/// Logits [count, classes], row-major, in the data set's order.
std::vector<double> predict(const EvaluationPass& pass, const Dataset& dataset);

}  // namespace convoy
