/// @file
/// Training by hand: the caller's own loop over batches, with data from the caller's memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"
#include "convoy/muon.h"
#include "convoy/optimizer_options.h"
#include "convoy/schedule.h"

namespace convoy {

class Backend;  // convoy/device.h

/// The choices of a BatchTrainer.
struct BatchTrainerOptions {
  OptimizerOptions optimizer = AdamOptions{};  ///< Adam or SGD, with its learning rate
  Schedule schedule = {};                      ///< of the learning rate; one step() is one training step
  std::int64_t steps_per_epoch = 0;            ///< step() calls in an epoch; 0: no schedule counts epochs
  std::int64_t total_steps = 0;                ///< step() calls in all; 0: no length in the schedule is 0
  std::uint64_t seed = 1;                      ///< of dropout
  /// As of torch.nn.CrossEntropyLoss, from 0 to below 1: that part of the target is spread over all classes.
  double label_smoothing = 0.0;
  std::optional<MuonOptions> muon = {};  ///< of convolutions' weights, as TrainOptions::muon
  bool decay_weights_only = false;       ///< weight decay as TrainOptions::decay_weights_only
  float clip_norm = 0.0f;  ///< of gradients, as TrainOptions::clip_norm; gradients() has them unclipped
};

/// Trains one batch at a time: forward, loss, backward and step are one call each, as in a PyTorch or
/// libtorch program. A batch may have any number of images. The first batch of a new size takes longer,
/// because the model is compiled for that size, and what was compiled stays in memory with the trainer.
/// Labels are bytes, so a model may have up to 256 classes.
///
///     trainer.forward(images);
///     const double loss = trainer.loss(labels);
///     trainer.backward();
///     trainer.step();
///
/// In a group (DeviceOptions::group) all processes make the same calls, each with images of its own, as with
/// PyTorch's DistributedDataParallel: step() takes the mean of their gradients, and dropout is that of one
/// batch with all the images. The loss is this process's; gradients() is its part of the mean.
class BatchTrainer {
 public:
  /// Starts from the weights in `state`, as initial_state or load_checkpoint makes them. The backend must
  /// outlive the trainer. Throws UsageError for options out of range, Error if the names or shapes in `state`
  /// are not the model's.
  BatchTrainer(Backend& backend, const Model& model, const StateDict& state,
               const BatchTrainerOptions& options = {});
  ~BatchTrainer();

  /// Runs the model in training mode on images [n, C, H, W], row-major: batch norm normalises by the batch's
  /// statistics, and dropout is on. The images are copied. Throws UsageError unless they are a whole number
  /// of the model's images, at least one, and behind the last step of a OneCycleLR.
  void forward(std::span<const float> images);

  /// The same for bytes: each becomes (byte / 255 - mean) / std of its channel. Throws UsageError also for a
  /// normalization that does not fit the channels.
  void forward(std::span<const std::uint8_t> images, const Normalization& normalization = {});

  /// Logits [n, classes], row-major, of the last forward or evaluate. Waits for the device. Throws UsageError
  /// if there was none.
  std::vector<double> logits() const;

  /// The mean cross-entropy of the last forward against labels [n], smoothed as the options say. Waits for
  /// the device. Throws UsageError without a forward before it, for another number of labels, and for a label
  /// that is no class.
  double loss(std::span<const std::uint8_t> labels);

  /// Computes the gradients of the last loss. They replace earlier gradients, so there is no zero_grad.
  /// Throws UsageError if there is no loss.
  void backward();

  /// Updates the parameters from the gradients of the last backward. Throws UsageError if there is none. The
  /// next step needs a new forward, loss and backward.
  void step();

  /// Logits [n, classes], row-major, of images [n, C, H, W] in evaluation mode: batch norm uses its running
  /// statistics, and dropout is off. Ends the training step under way: the next loss needs a new forward.
  /// Throws UsageError as forward does.
  std::vector<double> evaluate(std::span<const float> images);

  /// The same for bytes, normalised as by forward.
  std::vector<double> evaluate(std::span<const std::uint8_t> images, const Normalization& normalization = {});

  /// The model's current state dict. Waits for the device.
  StateDict state() const;

  /// The gradients that the last backward computed, under their parameters' names. Waits for the device.
  StateDict gradients() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
