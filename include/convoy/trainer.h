/// @file
/// Trains and evaluates a model on any device, with one call for a whole training.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convoy/augmentation.h"
#include "convoy/dataset.h"
#include "convoy/evaluation.h"
#include "convoy/host_tensor.h"
#include "convoy/model.h"
#include "convoy/muon.h"
#include "convoy/optimizer_options.h"
#include "convoy/schedule.h"
#include "convoy/snapshot.h"

namespace convoy {

class Backend;  // convoy/device.h

struct StepProfile;  // convoy/profile.h

/// The choices of a Trainer.
struct TrainOptions {
  std::int64_t batch_size = 100;  ///< images in a step, at least 1; in a group each process has so many
  std::int64_t epochs = 5;        ///< passes over the data set, at least 1
  OptimizerOptions optimizer = AdamOptions{};  ///< Adam or SGD, with its learning rate
  /// Of the learning rate. Its lengths of 0 reach to the end of the last epoch. A second `fit` counts on.
  Schedule schedule;
  /// Train the weights of convolutions with Muon, at the schedule's rate of its own learning rate;
  /// `optimizer` has all else. Nothing: `optimizer` has everything.
  std::optional<MuonOptions> muon;
  /// Weight decay pulls the weights of convolutions and linear layers alone, and spares biases and the
  /// weights and biases of norms, as PyTorch programs do by two parameter groups.
  bool decay_weights_only = false;
  /// The largest L2 norm of all gradients together: larger ones are scaled down to it before the update, as
  /// by torch.nn.utils.clip_grad_norm_. In a group it is the norm of the summed gradients. 0: none are.
  float clip_norm = 0.0f;
  /// Keep the exponential moving average of the weights and of batch norm's running statistics, which every
  /// step moves by 1 - ema_decay of the way, as torch.optim.swa_utils.AveragedModel does with
  /// get_ema_multi_avg_fn(ema_decay) and use_buffers. It is what the Trainer evaluates, during and after
  /// `fit`, and what Trainer::state returns; training goes on from the weights themselves. Below 1; excludes
  /// swa. 0: none.
  double ema_decay = 0.0;
  AugmentationOptions augmentation;  ///< of training images; evaluation takes them as they are
  /// As of torch.nn.CrossEntropyLoss, from 0 to below 1: that part of the target is spread over all classes.
  /// The losses of steps and epochs are smoothed ones, as a PyTorch loop prints them; evaluation's are not.
  double label_smoothing = 0.0;
  std::uint64_t seed = 1;        ///< of the samples' order, augmentation and dropout
  std::int64_t log_every = 100;  ///< steps between two calls of TrainObserver::step; 0: none
  std::int64_t save_every = 0;   ///< steps between two calls of TrainObserver::save; 0: none
  std::int64_t pause_every = 0;  ///< steps between two calls of TrainObserver::pause; 0: none
  /// Look for NaN and infinity in what each layer, the loss and the optimizer write. After log_every steps
  /// and at an epoch's end, `fit` throws an Error that names the first of them to write one, and the step.
  bool check_finite = false;
  /// Profile that many steps, after kProfileWarmup of them, for TrainObserver::profile. They run layer by
  /// layer, not as CUDA graphs. `fit` throws UsageError if its first epoch is too short for that.
  std::int64_t profile_steps = 0;
  /// Stochastic weight averaging (Izmailov et al., 2018): at its end `fit` leaves the mean of ten sets of
  /// weights from the last fifth of the steps, as PyTorch's torch.optim.swa_utils.AveragedModel does. At a
  /// constant learning rate the weights keep jittering, which a mean does not. Without it the last step's
  /// weights stay, as in a plain PyTorch loop.
  bool swa = false;
  /// Batches of training images that pass through the averaged model, so that batch norm's running statistics
  /// become those of its weights (PyTorch's update_bn, but with the layers' momentum and not over all of the
  /// images). At most an epoch's; 0: the statistics stay those of the last step. Without an average none.
  std::int64_t bn_batches = 50;
};

/// Steps before a profile. They are slower: kernels are loaded and memory is touched for the first time.
constexpr std::int64_t kProfileWarmup = 3;

/// Where a training is.
struct Progress {
  std::int64_t epoch = 0;   ///< the current epoch, from 1
  std::int64_t epochs = 0;  ///< in all
  std::int64_t step = 0;    ///< the last step of the epoch that has been launched, from 1
  std::int64_t steps = 0;   ///< of an epoch
  /// From the epoch's beginning to when the device was last waited for: at an epoch's end, and after every
  /// `log_every` steps if there is an observer of steps. In between that of the last time; 0 before the
  /// first.
  double images_per_second = 0.0;
  double seconds = 0.0;        ///< since `fit` began with the first step
  double learning_rate = 0.0;  ///< of the last step, by the schedule
};

/// The loss of one step.
struct StepReport : Progress {
  double loss = 0.0;      ///< mean over the step's batch
  double accuracy = 0.0;  ///< of the epoch so far, each sample with the weights of its step; 0 to 1
};

/// The results of one epoch on the training data.
struct EpochReport : Progress {
  double loss = 0.0;      ///< mean over the epoch's samples, each with the weights of its step
  double accuracy = 0.0;  ///< likewise, 0 to 1
};

/// Functions that `fit` calls between steps. Each may be empty, and may ask the trainer for a snapshot or an
/// evaluation, or call Trainer::stop. An exception thrown here ends `fit` at once and leaves the trainer
/// usable.
struct TrainObserver {
  std::function<void()> prepared;    ///< before the first step: all is compiled and allocated
  std::function<void()> first_step;  ///< when the device has finished the first step
  /// After the last profiled step, see TrainOptions::profile_steps.
  std::function<void(const StepProfile&)> profile;
  /// After every launch of a step, or of up to DeviceOptions::steps_per_launch of them. The device may not
  /// have finished them: `fit` does not wait for it here. Behind a pause, unless that stopped the training.
  std::function<void(const Progress&)> progress;
  std::function<void(const StepReport&)> step;  ///< after every TrainOptions::log_every steps
  /// After every TrainOptions::pause_every steps of the whole training, as to evaluate: the device has
  /// finished them. Behind the last step of an epoch it is `epoch` that is called.
  std::function<void(const Progress&)> pause;
  std::function<void(const EpochReport&)> epoch;  ///< after every epoch, and what there is of a stopped one
  /// After every TrainOptions::save_every steps of the whole training, for begin_snapshot. The device may not
  /// have finished them.
  std::function<void(const Progress&)> save;
};

/// Trains a model, and evaluates it between and after. For a loop of one's own see BatchTrainer.
///
/// In a group (DeviceOptions::group) all processes make a Trainer with the same options and make the same
/// calls with the same data. The meaning is that of PyTorch's DistributedDataParallel: every step sums the
/// gradients of all processes, whose batches are together one of `batch_size` times so many images; dropout
/// and augmentation are drawn as for that one. So without batch norm, or with DeviceOptions::sync_batch_norm,
/// the losses are those of one process with the whole batch, within rounding. The running statistics of a
/// batch norm are rank 0's. What is left over of an epoch is shared as evenly as it goes. Reports are those
/// of all processes, and an evaluation is shared, too. One process that throws leaves the others waiting: end
/// the group then (a Communicator that is destroyed without leave_group does).
class Trainer {
 public:
  /// Compiles `model` for the options' batch size and starts from the weights in `state`, as initial_state or
  /// load_checkpoint makes them. The backend must outlive the trainer. Throws UsageError for options out of
  /// range, Error if the names or shapes in `state` are not the model's.
  Trainer(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options);
  ~Trainer();

  /// Trains for options.epochs epochs, in a new order of samples each. The first call after `restore` goes on
  /// from the snapshot instead, up to the same last epoch. If the batch size does not divide the data set,
  /// each epoch ends with a smaller batch, as with PyTorch's DataLoader by default. Throws UsageError if the
  /// batch is larger than the data set, the images are not the model's, there are more classes than the model
  /// has, the snapshot has done more steps than the epoch has, or the schedule does not fit the training's
  /// length. Throws Error if the device fails, and see TrainOptions::check_finite.
  void fit(const Dataset& dataset, const TrainObserver& observer = {});

  /// To be called by an observer: `fit` ends behind the steps that have been launched, as if they had been
  /// the last ones, and returns. Within an epoch TrainObserver::epoch is told of what there is of it. The
  /// weights are averaged over the sets that were taken by then, batch norm's statistics are measured anew,
  /// and the snapshot's position is settled. Called by `prepared` it trains no step at all, and leaves a
  /// settled snapshot as it is. In a group all processes must call it at the same step. The next `fit`
  /// forgets it.
  void stop();

  /// Loss and hits of the current epoch so far. In a group they are those of all processes, which must all
  /// call this at the same step; so `fit` has done when it calls TrainObserver::step, epoch and save. Waits
  /// for the device.
  MetricsReading metrics() const;

  /// Everything that is needed to go on with the training later. In a group one process can take it for all;
  /// within an epoch, if metrics() was called at the same step, else it throws Error. Waits for the device.
  /// Throws UsageError while a function of begin_snapshot lives.
  TrainingSnapshot snapshot() const;

  /// The same without waiting: enqueues a copy on the device, and returns a function that waits for that copy
  /// alone. It may be called once, from any thread, while training goes on, but not after the trainer's end.
  /// The first call allocates room for the copy. Throws as snapshot().
  std::function<TrainingSnapshot()> begin_snapshot() const;

  /// Takes over a snapshot of a training with the same model and options. The next `fit` on the same data set
  /// goes on from there and ends with the same bits as if the training had never stopped. Throws Error if the
  /// snapshot is not of this model, optimizer and batch size; then nothing is changed.
  void restore(const TrainingSnapshot& snapshot);

  /// Uploads a data set that is evaluated more than once. The evaluator must not outlive the trainer. Its
  /// logits are means over the views of `augmentation`. Throws UsageError if the data set is empty, its
  /// images are not the model's, or it has more classes.
  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset, const TestTimeAugmentation& augmentation = {});

  /// Mean loss and accuracy over the data set. Throws as evaluator().
  Evaluation evaluate(const Dataset& dataset, const TestTimeAugmentation& augmentation = {});

  /// The same, with the logits of every sample. Throws as evaluator().
  DetailedEvaluation evaluate_in_detail(const Dataset& dataset,
                                        const TestTimeAugmentation& augmentation = {});

  /// Logits [count, classes], row-major, in the data set's order. Throws as evaluator().
  std::vector<double> predict(const Dataset& dataset, const TestTimeAugmentation& augmentation = {});

  /// The model's current state dict, in a group rank 0's; with TrainOptions::ema_decay the averaged one, once
  /// a step was done. Waits for the device.
  StateDict state() const;

  /// The gradients of the last training step under their parameters' names, as the optimizer took them: those
  /// of the mean loss over the batch, in a group over that of all. Zeros before the first step. Waits for the
  /// device.
  StateDict gradients() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
