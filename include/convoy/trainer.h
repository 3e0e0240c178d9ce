/// @file
/// Trains and evaluates a model on any backend: the training step is written once, here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "convoy/augmentation.h"
#include "convoy/dataset.h"
#include "convoy/evaluation.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"
#include "convoy/optimizer_options.h"
#include "convoy/snapshot.h"

namespace convoy {

class Backend;  // convoy/device.h

struct StepProfile;  // convoy/profile.h

struct TrainOptions {
  std::int64_t batch_size = 100;
  std::int64_t epochs = 5;
  OptimizerOptions optimizer = AdamOptions{};
  Schedule schedule;  ///< of the learning rate
  AugmentationOptions augmentation;
  std::uint64_t seed = 1;
  std::int64_t log_every = 100;  ///< steps between two reports of the loss; 0: none
  /// Look for NaN and infinity behind every part of every step; `fit` then throws an Error that names the
  /// first part and step that made one, when the loss is next read.
  bool check_finite = false;
  /// Profile that many steps, after kProfileWarmup of them; these run part by part, without a recording.
  std::int64_t profile_steps = 0;
  /// At a constant learning rate the weights keep jittering, and run ahead of batch norm's running
  /// statistics: the test accuracy depends by half a percent on the step at which training happens to stop.
  /// So the weights that stay are the mean of ten snapshots from the last fifth of the steps (stochastic
  /// weight averaging, Izmailov et al., 2018; PyTorch's torch.optim.swa_utils), and this many batches are
  /// then passed through to measure their statistics. 0: neither; the last step's weights stay, as in the
  /// classic program.
  std::int64_t settle_batches = 50;
};

/// Steps before a profile, in which kernels are loaded and memory is touched for the first time.
constexpr std::int64_t kProfileWarmup = 3;

/// Where training is. Steps and epochs count from 1.
struct Progress {
  std::int64_t epoch = 0, epochs = 0;
  std::int64_t step = 0, steps = 0;  ///< within the epoch
  double images_per_second = 0.0;    ///< since the epoch began
  double seconds = 0.0;              ///< since training began
};

struct StepReport : Progress {
  double loss = 0.0;  ///< of this step's batch
};

struct EpochReport : Progress {
  double loss = 0.0;      ///< mean over the epoch's samples, as they were trained
  double accuracy = 0.0;  ///< likewise, 0 to 1
};

/// Called between steps; any of them may be empty, and may ask the trainer for a snapshot or an evaluation.
/// An exception thrown here ends `fit` and leaves the trainer usable: that is how a caller stops early.
struct TrainObserver {
  std::function<void()> prepared;    ///< before the first step: all is planned and allocated
  std::function<void()> first_step;  ///< when the device has finished it
  std::function<void(const StepProfile&)> profile;
  std::function<void(const Progress&)>
      progress;                                 ///< after every step, or every CudaOptions::steps_per_launch
                                                ///< of them; reads nothing from the device
  std::function<void(const StepReport&)> step;  ///< after every log_every-th
  std::function<void(const EpochReport&)> epoch;
};

class Trainer {
 public:
  /// Compiles `model` on `backend` for the options' batch size. The backend must outlive the trainer. Throws
  /// UsageError for options that cannot be, Error if `state` is not the model's.
  Trainer(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options);
  ~Trainer();

  /// Trains for options.epochs, from the first step, or once from where `restore` put it. A data set that the
  /// batch size does not divide ends each epoch with a smaller batch, as PyTorch's DataLoader does by
  /// default. Throws UsageError if the batch is larger than the data set, the images are not the model's, or
  /// the place to go on from is not in the data set's epochs.
  void fit(const Dataset& dataset, const TrainObserver& observer = {});

  /// Everything that `fit` has changed, and where it is; synchronises.
  TrainingSnapshot snapshot() const;

  /// Takes over a snapshot of a training with the same model and options: the next `fit`, on the same data
  /// set, goes on from there and ends with the same bits as if it had never stopped. Throws Error, and
  /// changes nothing, if the snapshot does not fit.
  void restore(const TrainingSnapshot& snapshot);

  /// For a data set that is evaluated more than once. It must not outlive the trainer.
  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset);

  /// Once.
  Evaluation evaluate(const Dataset& dataset);

  /// Logits [count, classes], row-major, in the data set's order.
  std::vector<double> predict(const Dataset& dataset);

  /// The model's state dict as it is now.
  StateDict state() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
