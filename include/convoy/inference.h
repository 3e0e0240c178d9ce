/// @file
/// A trained model for evaluation only: no gradients, no optimizer, batch norms folded into their
/// convolutions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "convoy/augmentation.h"
#include "convoy/dataset.h"
#include "convoy/evaluation.h"
#include "convoy/model.h"
#include "convoy/state.h"

namespace convoy {

class Backend;  // convoy/device.h

/// Evaluates a trained model, faster and in less device memory than a Trainer.
class Inference {
 public:
  /// Compiles the model, with batch norms folded (see fold_batch_norm), for that batch size. Only weights and
  /// activations are then on the device. The backend must outlive this. Results are a Trainer's up to
  /// rounding. Throws UsageError for a batch size below 1, Error if the names or shapes in `state` are not
  /// the model's or a value is not a finite float.
  Inference(Backend& backend, const Model& model, const StateDict& state, std::int64_t batch_size);
  ~Inference();

  /// Uploads a data set that is evaluated more than once. If the batch size does not divide it, its last
  /// batch is smaller. The evaluator must not outlive this. Its logits are means over the views of
  /// `augmentation`, and loss and accuracy are those of the mean logits. Throws UsageError if the data set is
  /// empty, its images are not the model's (or have one row or column, and are to be shifted), or it has more
  /// classes.
  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset, const TestTimeAugmentation& augmentation = {});

  /// Mean loss and accuracy over the data set. Throws as evaluator().
  Evaluation evaluate(const Dataset& dataset, const TestTimeAugmentation& augmentation = {});

  /// Logits [count, classes], row-major, in the data set's order. Throws as evaluator().
  std::vector<double> predict(const Dataset& dataset, const TestTimeAugmentation& augmentation = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
