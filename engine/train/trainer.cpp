#include "convoy/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/backend/checks.h"
#include "engine/data/order.h"
#include "engine/train/evaluation_pass.h"
#include "engine/train/finish_on_exit.h"
#include "engine/train/fit.h"
#include "engine/train/snapshots.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

void check(const TrainOptions& options) {
  if (options.batch_size < 1) {
    throw UsageError(fmt::format("batch size {} is not positive", options.batch_size));
  }
  if (options.epochs < 1) throw UsageError(fmt::format("{} epochs: at least 1 is needed", options.epochs));
  if (options.settle_batches < 0) {
    throw UsageError(fmt::format("settle_batches {} is negative", options.settle_batches));
  }
  if (options.profile_steps < 0) {
    throw UsageError(fmt::format("profile_steps {} is negative", options.profile_steps));
  }
  if (options.save_every < 0) throw UsageError(fmt::format("save_every {} is negative", options.save_every));
  if (options.log_every < 0) throw UsageError(fmt::format("log_every {} is negative", options.log_every));
  check_optimizer(options.optimizer);
  check_schedule(options.schedule);
}

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
        state_(backend, model_, state,
               {.optimizer = options.optimizer,
                .schedule = options.schedule,
                .augmentation = options.augmentation,
                .seed = options.seed,
                .check_finite = options.check_finite,
                .average = options.settle_batches > 0}) {
    network_of(options.batch_size);
  }

  void fit(const Dataset& dataset, const TrainObserver& observer);
  StateDict state() const { return state_.parameters.state(state_.counter->read()); }
  std::function<TrainingSnapshot()> begin_snapshot() {
    if (!snapshots_) snapshots_ = std::make_unique<SnapshotTaker>(state_);
    return snapshots_->begin();
  }
  void restore(const TrainingSnapshot& snapshot);

  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset) {
    return make_evaluator({state_, model_, options_.batch_size,
                           [this](std::int64_t batch) -> BatchNetwork& { return network_of(batch); }},
                          dataset);
  }

 private:
  // Made on first use, kept for good: a data set needs at most two sizes, the batch and the ragged rest.
  TrainingNetwork& network_of(std::int64_t batch) {
    auto& network = networks_[batch];
    if (!network) network = std::make_unique<TrainingNetwork>(state_, model_, batch);
    return *network;
  }

  void settle(ResidentDataset& resident, std::int64_t count);
  std::unique_ptr<Step> step_of_rest(ResidentDataset& resident, std::int64_t count, std::int64_t rest);

  Model model_;
  TrainOptions options_;
  TrainingState state_;
  std::map<std::int64_t, std::unique_ptr<TrainingNetwork>> networks_;
  std::unique_ptr<SnapshotTaker> snapshots_;  // made on first use
  bool restored_ = false;                     // and not yet gone on from
};

void Trainer::Impl::fit(const Dataset& dataset, const TrainObserver& observer) {
  check_dataset_of(model_, dataset);
  const std::int64_t batch = options_.batch_size;
  if (batch > dataset.count()) {
    throw UsageError(fmt::format("batch size {} is larger than the {} images of {}", batch, dataset.count(),
                                 dataset.name));
  }
  TrainingPosition& position = state_.position;
  if (!restored_) {
    position = {};
    if (state_.average) state_.average->set_count(0);
  }
  if (position.settled && position.epoch > options_.epochs) {
    restored_ = false;
    return;
  }

  const std::int64_t rest = dataset.count() % batch;
  const auto resident = state_.backend.upload(dataset);
  const auto full_step = network_of(batch).training_step(*resident);
  const auto rest_step = rest > 0 ? step_of_rest(*resident, dataset.count(), rest) : nullptr;
  state_.backend.prepare();
  if (observer.prepared) observer.prepared();
  const FinishOnExit finish(state_.backend);
  Fit fit(state_, options_, {dataset.count(), *full_step, rest_step.get()});
  restored_ = false;
  // A training that was finished and now goes on averages the weights of its new end.
  if (position.settled && state_.average) state_.average->set_count(0);
  position.settled = false;
  fit.run(*resident, observer);
  settle(*resident, dataset.count());
  state_.backend.synchronize();
  position.settled = true;
}

// The last batch of an epoch. A batch norm may refuse one image where it takes a whole batch.
std::unique_ptr<Step> Trainer::Impl::step_of_rest(ResidentDataset& resident, std::int64_t count,
                                                  std::int64_t rest) {
  try {
    return network_of(rest).training_step(resident);
  } catch (const UsageError& error) {
    throw UsageError(
        fmt::format("the last batch of an epoch has {} image{}, what {} leave over in batches of {}: {}; "
                    "take another batch size, or another number of images",
                    rest, rest == 1 ? "" : "s", count, options_.batch_size, error.what()));
  }
}

void Trainer::Impl::restore(const TrainingSnapshot& snapshot) {
  check_state(model_, snapshot.model, "the snapshot");
  const TrainingPosition& position = snapshot.position;
  if (position.epoch < 1 || position.step < 0) {
    throw Error(fmt::format("the snapshot is of step {} of epoch {}", position.step, position.epoch));
  }
  const std::int64_t whole_batches = position.step * options_.batch_size;
  const std::int64_t samples = snapshot.metrics.samples;  // the last batch of an epoch may be smaller
  if (samples > whole_batches || samples <= whole_batches - options_.batch_size) {
    throw Error(fmt::format("the snapshot has seen {} samples in {} steps, which were not batches of {}",
                            samples, position.step, options_.batch_size));
  }
  restore_snapshot(state_, snapshot);
  restored_ = true;
}

void Trainer::Impl::settle(ResidentDataset& resident, std::int64_t count) {
  if (state_.average && state_.average->count() > 0) state_.average->store();
  const std::int64_t batches = std::min(options_.settle_batches, count / options_.batch_size);
  if (batches == 0 || !has_batch_norm(model_)) return;
  const auto next_epoch = static_cast<std::uint32_t>(options_.epochs + 1);
  resident.set_order(shuffled_order(count, options_.seed, next_epoch));
  const auto step = network_of(options_.batch_size).settling_step(resident);
  state_.backend.prepare();
  const FinishOnExit finish(state_.backend);
  const std::int64_t trained = state_.counter->read();
  step->run(batches);
  state_.counter->write(trained);  // settling counted on, for dropout to draw anew
}

Trainer::Trainer(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options) {
  check(options);
  impl_ = std::make_unique<Impl>(backend, model, state, options);
}

Trainer::~Trainer() = default;

void Trainer::fit(const Dataset& dataset, const TrainObserver& observer) { impl_->fit(dataset, observer); }

TrainingSnapshot Trainer::snapshot() const { return impl_->begin_snapshot()(); }

std::function<TrainingSnapshot()> Trainer::begin_snapshot() const { return impl_->begin_snapshot(); }

void Trainer::restore(const TrainingSnapshot& snapshot) { impl_->restore(snapshot); }

std::unique_ptr<Evaluator> Trainer::evaluator(const Dataset& dataset) { return impl_->evaluator(dataset); }

Evaluation Trainer::evaluate(const Dataset& dataset) { return evaluator(dataset)->evaluate(); }

std::vector<double> Trainer::predict(const Dataset& dataset) { return evaluator(dataset)->predict(); }

StateDict Trainer::state() const { return impl_->state(); }

}  // namespace convoy
