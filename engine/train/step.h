// One batch through a network, on any backend: how a training step and an evaluation step go is written here,
// once, as a list of parts. The list is recorded for speed, and walked part by part to profile it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/profile.h"
#include "convoy/snapshot.h"
#include "engine/backend/backend.h"
#include "engine/core/trace.h"
#include "engine/train/batch_share.h"
#include "engine/train/network.h"
#include "engine/train/parameter_groups.h"
#include "engine/train/roofline.h"

namespace convoy {

/// One part of a step.
struct StepPart {
  std::string
      name;  // of the layer, "layer1.0"; or "batch", "loss", "all_reduce", "clip", "optimizer", "muon", "ema"
  std::string type;  // "Conv2d", ...
  Pass pass = Pass::forward;
  std::function<void()> run;
  std::vector<TensorPtr> writes;  // where a NaN of its making shows
  Work work = {};                 // that it takes at least

  /// "layer1.0.fprop", "layer1.0.bprop", "optimizer": what profilers and errors call it.
  std::string label() const;
};

/// The name of the part behind which a group's gradients are summed. Before it may come "all_reduce.0" and so
/// on, each of which begins the sum of a bucket.
constexpr const char* kAllReduce = "all_reduce";

/// What a step reads: the next samples of a data set, if of any.
struct StepSamples {
  DeviceDataset* dataset = nullptr;
  std::int64_t rows = 0;
};

/// Parts in the order of their execution, and the recording of them all.
class Step {
 public:
  /// With `check`, each part's results are looked at behind it.
  Step(Backend& backend, std::vector<StepPart> parts, StepSamples samples = {}, FiniteCheck* check = nullptr);
  Step(const Step&) = delete;  // its recording knows where it is
  Step& operator=(const Step&) = delete;

  /// Enqueues the whole step `times` times. An Error thrown by a part names it.
  void run(std::int64_t times);

  /// Runs one step part by part, unrecorded: `before(i)` is called before part i, and a last time behind them
  /// all. A profiler sees a range for each pass and, in it, for each part.
  void run_parts(const std::function<void(std::size_t)>& before) const;

  std::span<const StepPart> parts() const { return parts_; }
  const Replay& replay() const { return *replay_; }

 private:
  void walk(const std::function<void(std::size_t)>& before) const;
  void run_part(std::size_t index) const;

  std::vector<StepPart> parts_;
  StepSamples samples_;
  std::vector<trace::Name> names_;
  FiniteCheck* check_;
  std::unique_ptr<Replay> replay_;
};

/// How a training goes on, whatever the batch size.
struct StepOptions {
  OptimizerOptions optimizer;  // its schedule is for the counter, once the training's length is known
  AugmentationOptions augmentation = {};
  std::uint64_t seed = 0;  // of dropout and augmentation
  double label_smoothing = 0.0;
  bool check_finite = false;  // look for NaN and infinity behind every part of a training step
  bool average = false;       // have room for a mean of the weights
  bool decay_weights_only = false;
  float clip_norm = 0.0f;  // 0: gradients are not clipped
  double ema_decay = 0.0;  // 0: no moving average
  std::optional<MuonOptions> muon = {};
};

/// What all batch sizes of a model share. The backend must outlive it.
struct NetworkState {
  Backend& backend;
  Parameters parameters;
  std::unique_ptr<StepCounter> counter;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<MovingAverage> ema;  // null unless it is wanted

  /// Throws Error if `state` is not the model's.
  NetworkState(Backend& device, const Model& model, const StateDict& state, bool with_gradients,
               const StepRule& rule = {});
};

/// And all that are trained.
struct TrainingState : NetworkState {
  StepOptions options;
  std::vector<ParameterGroup> groups;  // empty: all parameters are decayed
  std::unique_ptr<GradientClip> clip;  // null unless it is wanted
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Optimizer> muon;            // null unless it is wanted
  std::unique_ptr<FiniteCheck> finite_check;  // null unless it is wanted
  std::unique_ptr<ParameterAverage> average;  // likewise
  TrainingPosition position;                  // Fit keeps it up to date
  std::int64_t total_steps = 0;               // of the training that the average is of
  std::int64_t counted = 0;                   // what the counter reads between two launches
  bool idle = false;                          // in the last step the others of the group had all the samples
  /// The metrics of a group, and where they were read: what a process may keep without asking the others.
  std::optional<std::pair<TrainingPosition, MetricsReading>> group_metrics;

  TrainingState(Backend& device, const Model& model, const StateDict& state, const StepOptions& step);
};

/// The metrics so far, of all processes of the group, which must all call this at the same step.
MetricsReading read_metrics(TrainingState& state);

/// A network of one batch size with its input, loss and labels, over shared parameters.
class BatchNetwork {
 public:
  /// Of the share's rows. `seed` is dropout's. Throws UsageError for shapes that do not fit.
  BatchNetwork(NetworkState& state, const Model& model, const BatchShare& share, std::uint64_t seed = 0,
               double label_smoothing = 0.0);
  virtual ~BatchNetwork() = default;
  BatchNetwork(const BatchNetwork&) = delete;  // its steps know where it is
  BatchNetwork& operator=(const BatchNetwork&) = delete;

  /// An evaluation of the next batch, seen so: batch, forward, loss into the metrics.
  std::unique_ptr<Step> evaluation_step(DeviceDataset& dataset, const ImageView& view = {});

  const Network& network() const { return network_; }
  Network& network() { return network_; }
  const TensorPtr& images() const { return images_; }  // [batch, C, H, W]
  const TensorPtr& labels() const { return labels_; }  // [batch], int32
  const NamedOperation& loss() const { return loss_; }

 protected:
  /// `counter` is what the batch advances, if there is one.
  StepPart batch_part(DeviceDataset& dataset, const AugmentationSource& augmentation, Phase phase,
                      StepCounter* counter);
  void add_forward(std::vector<StepPart>& parts, Phase phase);
  StepSamples samples_of(DeviceDataset& dataset) const { return {&dataset, images_->shape()[0]}; }

 private:
  Backend& backend_;
  TensorPtr images_;
  TensorPtr labels_;
  Network network_;
  NamedOperation loss_;
};

/// The same with gradients.
class TrainingNetwork final : public BatchNetwork {
 public:
  TrainingNetwork(TrainingState& state, const Model& model, const BatchShare& share);

  /// A training step on the data set's next batch: batch, forward, loss, backward, the sum of a group's
  /// gradients, update.
  std::unique_ptr<Step> training_step(DeviceDataset& dataset);

  /// A pass of the next batch that only moves batch norm's running statistics, and the counter: nothing is
  /// trained.
  std::unique_ptr<Step> settling_step(DeviceDataset& dataset);

 private:
  TrainingState& state_;
  std::int64_t first_row_;  // of the whole batch
};

/// A process's training step where the others of its group have all the samples: it only updates, as they do.
std::unique_ptr<Step> idle_step(TrainingState& state);

}  // namespace convoy
