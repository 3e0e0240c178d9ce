/// @file
/// A trained model for evaluation only: no gradients, no optimizer, batch norms folded into their
/// convolutions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/evaluation.h"
#include "convoy/model.h"
#include "convoy/state.h"

namespace convoy {

class Backend;  // convoy/device.h

class Inference {
 public:
  /// Compiles the folded model (see fold_batch_norm) on `backend`, which must outlive this, for that batch
  /// size. On the device are then only weights and activations. Results are a Trainer's up to rounding.
  /// Throws UsageError for a batch size below 1, Error if `state` is not the model's or holds what is no
  /// finite float.
  Inference(Backend& backend, const Model& model, const StateDict& state, std::int64_t batch_size);
  ~Inference();

  /// For a data set that is evaluated more than once; its last batch may be smaller. The evaluator must not
  /// outlive this. Throws UsageError if the images or classes are not the model's.
  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset);

  /// Once.
  Evaluation evaluate(const Dataset& dataset);

  /// Logits [count, classes], row-major, in the data set's order.
  std::vector<double> predict(const Dataset& dataset);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
