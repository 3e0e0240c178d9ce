#include "convoy/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "convoy/error.h"
#include "convoy/model_file.h"
#include "convoy/state.h"
#include "engine/backend/checks.h"
#include "engine/core/step_table.h"
#include "engine/data/order.h"
#include "engine/train/averaged_weights.h"
#include "engine/train/evaluation_pass.h"
#include "engine/train/finish_on_exit.h"
#include "engine/train/fit.h"
#include "engine/train/snapshots.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"

namespace convoy {
namespace {

bool has_batch_norm(const Model& model) {
  return std::ranges::any_of(tensor_specs(model),
                             [](const TensorSpec& spec) { return spec.role == TensorRole::running_mean; });
}

}  // namespace

class Trainer::Impl {
 public:
  Impl(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options)
      : model_(model),
        options_(options),
        state_(backend, model_, of_rank_0(backend.group(), state),
               {.optimizer = options.optimizer,
                .augmentation = options.augmentation,
                .seed = options.seed,
                .label_smoothing = options.label_smoothing,
                .check_finite = options.check_finite,
                .average = options.swa,
                .decay_weights_only = options.decay_weights_only,
                .clip_norm = options.clip_norm,
                .ema_decay = options.ema_decay,
                .muon = options.muon}) {
    network_of(shares_of(options.batch_size).full);
  }

  void fit(const Dataset& dataset, const TrainObserver& observer);
  void stop() { stop_ = true; }
  StateDict state() {
    const AveragedWeights shown(state_);
    return state_.parameters.state(state_.counter->read());
  }
  StateDict gradients() { return state_.parameters.gradients(); }
  MetricsReading metrics() { return read_metrics(state_); }
  std::function<TrainingSnapshot()> begin_snapshot() {
    if (!snapshots_) snapshots_ = std::make_unique<SnapshotTaker>(state_);
    return snapshots_->begin();
  }
  void restore(const TrainingSnapshot& snapshot);

  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset, const TestTimeAugmentation& augmentation) {
    return make_evaluator({state_, model_, options_.batch_size,
                           [this](std::int64_t rows) -> BatchNetwork& { return network_of_rows(rows); }},
                          dataset, augmentation);
  }

 private:
  EpochShares shares_of(std::int64_t samples) const {
    return {samples, options_.batch_size, state_.backend.group().place()};
  }

  // Made on first use, kept for good: a data set needs at most two sizes, the batch and the ragged rest.
  TrainingNetwork& network_of(const BatchShare& share) {
    auto& network = networks_[share];
    if (!network) network = std::make_unique<TrainingNetwork>(state_, model_, share);
    return *network;
  }

  // To evaluate, whichever rows of a batch a network of that size was made for.
  TrainingNetwork& network_of_rows(std::int64_t rows) {
    for (const auto& [share, network] : networks_) {
      if (share.rows == rows) return *network;
    }
    return network_of(rows);
  }

  // Leaves the average, with batch norm's statistics of its weights; without one all as it is.
  void settle(DeviceDataset& uploaded, std::int64_t count);
  std::unique_ptr<Step> step_of_rest(DeviceDataset& uploaded, const EpochShares& shares);

  Model model_;
  TrainOptions options_;
  TrainingState state_;
  std::map<BatchShare, std::unique_ptr<TrainingNetwork>> networks_;
  std::unique_ptr<SnapshotTaker> snapshots_;  // made on first use
  bool restored_ = false;                     // and not yet gone on from
  bool stop_ = false;                         // the running `fit`
};

void Trainer::Impl::fit(const Dataset& dataset, const TrainObserver& observer) {
  stop_ = false;
  check_dataset_of(model_, dataset);
  Communicator& group = state_.backend.group();
  require_one_training(group, options_, restored_ ? state_.position : TrainingPosition{}, dataset);
  const EpochShares shares = shares_of(dataset.count());
  if (shares.full_steps == 0) {
    throw UsageError(fmt::format("batch size {}{} is larger than the {} images of {}", options_.batch_size,
                                 group.size() > 1 ? fmt::format(" of {} processes", group.size()) : "",
                                 dataset.count(), dataset.name));
  }
  TrainingPosition& position = state_.position;
  if (!restored_) {
    position = {};
    if (state_.average) state_.average->set_count(0);
    if (state_.ema) state_.ema->begin_behind(state_.counter->read());
  }
  if (position.settled && position.epoch > options_.epochs) {
    restored_ = false;
    return;
  }

  if (state_.backend.syncs_batch_norm() && has_batch_norm(model_) && shares.rest.of > 0 &&
      shares.rest.of < group.size()) {
    throw UsageError(
        fmt::format("the last batch of an epoch has {} images for {} processes, whose batch norms all "
                    "need some: take another batch size, or another number of images",
                    shares.rest.of, group.size()));
  }
  const std::int64_t total_steps = options_.epochs * shares.steps();
  const std::int64_t done = (position.epoch - 1) * shares.steps() + position.step;
  state_.counter->set_rule(
      step_rule(options_.optimizer, options_.schedule,
                {.steps_per_epoch = shares.steps(), .total_steps = state_.counted + total_steps - done}));
  const auto uploaded = state_.backend.upload(dataset);
  const auto full_step = network_of(shares.full).training_step(*uploaded);
  const auto rest_step = shares.rest.of > 0 ? step_of_rest(*uploaded, shares) : nullptr;
  state_.backend.prepare();
  if (observer.prepared) observer.prepared();
  if (stop_ && position.settled) {
    restored_ = false;
    return;
  }
  const FinishOnExit finish(state_.backend);
  Fit fit(state_, options_, {shares, *full_step, rest_step.get()});
  restored_ = false;
  // A training that goes on to another end averages the weights of that.
  if (state_.average && (position.settled || state_.total_steps != total_steps)) {
    state_.average->set_count(0);
  }
  state_.total_steps = total_steps;
  position.settled = false;
  fit.run(*uploaded, observer, stop_);
  settle(*uploaded, dataset.count());
  state_.backend.synchronize();
  position.settled = true;
}

// The last batch of an epoch. A batch norm may refuse one image where it takes a whole batch.
std::unique_ptr<Step> Trainer::Impl::step_of_rest(DeviceDataset& uploaded, const EpochShares& shares) {
  const std::int64_t rest = shares.rest.rows;
  if (rest == 0) return idle_step(state_);
  try {
    return network_of(shares.rest).training_step(uploaded);
  } catch (const UsageError& error) {
    throw UsageError(
        fmt::format("the last batch of an epoch has {} image{}, what {} leave over in batches of {}: {}; "
                    "take another batch size, or another number of images",
                    rest, rest == 1 ? "" : "s", shares.count, shares.full.of, error.what()));
  }
}

void Trainer::Impl::restore(const TrainingSnapshot& snapshot) {
  check_state(model_, snapshot.model, "the snapshot");
  const TrainingPosition& position = snapshot.position;
  constexpr std::int64_t kMost = std::int64_t{1} << 40;  // a file may hold anything
  if (position.epoch < 1 || position.epoch > kMost || position.step < 0) {
    throw Error(fmt::format("the snapshot is of step {} of epoch {}", position.step, position.epoch));
  }
  const std::int64_t batch = options_.batch_size * state_.backend.group().size();
  const std::int64_t samples = snapshot.metrics.samples;  // the last batch of an epoch may be smaller
  if (samples < 0 || position.step != (samples + batch - 1) / batch) {
    throw Error(fmt::format("the snapshot has seen {} samples in {} steps, which were not batches of {}",
                            samples, position.step, batch));
  }
  restore_snapshot(state_, snapshot);
  restored_ = true;
}

void Trainer::Impl::settle(DeviceDataset& uploaded, std::int64_t count) {
  if (!state_.average || state_.average->count() == 0) return;  // the last step's weights have its statistics
  state_.average->store();
  const EpochShares shares = shares_of(count);
  const std::int64_t batches = std::min(options_.bn_batches, shares.full_steps);
  if (batches == 0 || !has_batch_norm(model_)) return;
  const TrainingPosition& end = state_.position;
  const auto next_epoch = static_cast<std::uint32_t>(end.step > 0 ? end.epoch + 1 : end.epoch);
  uploaded.set_order(shares.order(shuffled_order(count, options_.seed, next_epoch)));
  const auto step = network_of(shares.full).settling_step(uploaded);
  state_.backend.prepare();
  const FinishOnExit finish(state_.backend);
  const std::int64_t trained = state_.counter->read();
  step->run(batches);
  state_.counter->write(trained);  // settling counted on, for dropout to draw anew
}

Trainer::Trainer(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options) {
  check(options);
  require_one_model(backend.group(), model, options);
  impl_ = std::make_unique<Impl>(backend, model, state, options);
}

Trainer::~Trainer() = default;

void Trainer::fit(const Dataset& dataset, const TrainObserver& observer) { impl_->fit(dataset, observer); }

MetricsReading Trainer::metrics() const { return impl_->metrics(); }

void Trainer::stop() { impl_->stop(); }

TrainingSnapshot Trainer::snapshot() const { return impl_->begin_snapshot()(); }

std::function<TrainingSnapshot()> Trainer::begin_snapshot() const { return impl_->begin_snapshot(); }

void Trainer::restore(const TrainingSnapshot& snapshot) { impl_->restore(snapshot); }

std::unique_ptr<Evaluator> Trainer::evaluator(const Dataset& dataset,
                                              const TestTimeAugmentation& augmentation) {
  return impl_->evaluator(dataset, augmentation);
}

Evaluation Trainer::evaluate(const Dataset& dataset, const TestTimeAugmentation& augmentation) {
  return evaluator(dataset, augmentation)->evaluate();
}

DetailedEvaluation Trainer::evaluate_in_detail(const Dataset& dataset,
                                               const TestTimeAugmentation& augmentation) {
  return evaluator(dataset, augmentation)->evaluate_in_detail();
}

std::vector<double> Trainer::predict(const Dataset& dataset, const TestTimeAugmentation& augmentation) {
  return evaluator(dataset, augmentation)->predict();
}

StateDict Trainer::state() const { return impl_->state(); }

StateDict Trainer::gradients() const { return impl_->gradients(); }

}  // namespace convoy
