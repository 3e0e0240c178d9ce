/// @file
/// Training by hand: the caller's own loop over batches, with data from the caller's memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"
#include "convoy/optimizer_options.h"

namespace convoy {

class Backend;  // convoy/device.h

struct BatchTrainerOptions {
  OptimizerOptions optimizer = AdamOptions{};
  Schedule schedule = {};  ///< of the learning rate
  std::uint64_t seed = 1;  ///< of dropout
};

/// Forward, loss, backward, step: one call each, as in a PyTorch or libtorch program. A batch may have any
/// number of images; each new number is compiled when it is first met.
///
///     trainer.forward(images);
///     const double loss = trainer.loss(labels);
///     trainer.backward();
///     trainer.step();
class BatchTrainer {
 public:
  /// Compiles nothing yet. The backend must outlive this. Throws UsageError for options that cannot be, Error
  /// if `state` is not the model's.
  BatchTrainer(Backend& backend, const Model& model, const StateDict& state,
               const BatchTrainerOptions& options = {});
  ~BatchTrainer();

  /// Runs the model in training on images [n, C, H, W], row-major, which are copied: batch norm normalises by
  /// the batch, dropout drops. Throws UsageError unless they are a whole number of the model's images, at
  /// least one.
  void forward(std::span<const float> images);

  /// The same for bytes; each becomes (byte / 255 - mean) / std of its channel.
  void forward(std::span<const std::uint8_t> images, const Normalization& normalization = {});

  /// What the last forward put out: [n, classes], row-major. Waits for the device.
  std::vector<double> logits() const;

  /// The mean cross-entropy of the last forward against labels [n]. Waits for the device. Throws UsageError
  /// for another number of labels or a label that is no class.
  double loss(std::span<const std::uint8_t> labels);

  /// Computes the gradients of the last loss. They overwrite those before. Throws UsageError if there is no
  /// loss.
  void backward();

  /// Updates the parameters from the gradients of the last backward. Throws UsageError if there is none.
  void step();

  /// Logits [n, classes] of images in evaluation: batch norm uses its running statistics, nothing is dropped.
  /// The last forward is forgotten.
  std::vector<double> evaluate(std::span<const float> images);
  std::vector<double> evaluate(std::span<const std::uint8_t> images, const Normalization& normalization = {});

  /// The model's state dict as it is now.
  StateDict state() const;

  /// The gradients under their parameters' names.
  StateDict gradients() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
