#include "engine/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>

#include "engine/core/error.h"
#include "engine/data/order.h"
#include "engine/model/state.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check(const TrainOptions& options) {
  if (options.batch_size < 1) {
    throw UsageError(fmt::format("batch size {} is not positive", options.batch_size));
  }
  if (options.epochs < 1) throw UsageError(fmt::format("{} epochs: at least 1 is needed", options.epochs));
  if (options.settle_batches < 0) {
    throw UsageError(fmt::format("settle_batches {} is negative", options.settle_batches));
  }
  if (options.log_every < 0) throw UsageError(fmt::format("log_every {} is negative", options.log_every));
  const float lr = options.adam.learning_rate;
  if (!std::isfinite(lr) || lr <= 0.0f) {
    throw UsageError(fmt::format("learning rate {} is not a positive number", lr));
  }
}

void check(const Dataset& dataset, const Model& model) {
  if (dataset.count() == 0) throw UsageError(fmt::format("{} has no images", dataset.name));
  if (dataset.image != model.input) {
    throw UsageError(fmt::format("{} has images {}, model '{}' takes {}", dataset.name, dataset.image.str(),
                                 model.name, model.input.str()));
  }
  const std::int64_t classes = class_count(model);
  if (dataset.classes > classes) {
    throw UsageError(fmt::format("{} has {} classes, model '{}' puts out {}", dataset.name, dataset.classes,
                                 model.name, classes));
  }
}

bool has_batch_norm(const Model& model) {
  return std::ranges::any_of(tensor_specs(model),
                             [](const TensorSpec& spec) { return spec.role == TensorRole::running_mean; });
}

// The mean of the weights at ten steps, spread evenly over the last fifth of a training.
class WeightAverage {
 public:
  /// For a training of `steps`; 0: nothing is averaged.
  explicit WeightAverage(std::int64_t steps)
      : first_(steps - steps / 5), interval_(std::max<std::int64_t>(1, steps / 50)), steps_(steps) {}

  /// Counts a step; whether its weights are wanted. The last one's always are.
  bool wants_next() {
    ++step_;
    return step_ <= steps_ && step_ > first_ && (steps_ - step_) % interval_ == 0;
  }

  void add(const StateDict& weights) {
    ++count_;
    if (sum_.empty()) {
      sum_ = weights;
      return;
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::vector<double>& values = weights[i].second.values;
      for (std::size_t j = 0; j < values.size(); ++j) sum_[i].second.values[j] += values[j];
    }
  }

  /// Empty if nothing was added.
  StateDict mean() const {
    StateDict mean = sum_;
    for (auto& [name, tensor] : mean) {
      for (double& value : tensor.values) value /= static_cast<double>(count_);
    }
    return mean;
  }

 private:
  std::int64_t first_;
  std::int64_t interval_;
  std::int64_t steps_;
  std::int64_t step_ = 0;
  std::int64_t count_ = 0;
  StateDict sum_;
};

}  // namespace

class Trainer::Impl {
 public:
  Impl(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options)
      : model_(model), options_(options), state_(backend, model_, state, options.adam) {
    network_of(options.batch_size);
  }

  void fit(const Dataset& dataset, const TrainObserver& observer);
  Evaluation evaluate(const Dataset& dataset);
  std::vector<double> predict(const Dataset& dataset);
  StateDict state() const { return state_.parameters.state(state_.counter->read()); }

 private:
  // Made on first use, kept for good: a data set needs at most two sizes, the batch and the ragged rest.
  BatchNetwork& network_of(std::int64_t batch) {
    auto& network = networks_[batch];
    if (!network) network = std::make_unique<BatchNetwork>(state_, model_, batch, options_.seed);
    return *network;
  }

  // Evaluates every batch in the data set's order; `visit` sees the network after each.
  void for_each_batch(const Dataset& dataset, const std::function<void(BatchNetwork&)>& visit);
  void settle(const WeightAverage& average, ResidentDataset& resident, std::int64_t count);
  void train_epoch(std::int64_t epoch, const std::function<void(std::int64_t step)>& run,
                   const Dataset& dataset, const TrainObserver& observer, Clock::time_point start);

  Model model_;
  TrainOptions options_;
  TrainingState state_;
  std::map<std::int64_t, std::unique_ptr<BatchNetwork>> networks_;
};

void Trainer::Impl::fit(const Dataset& dataset, const TrainObserver& observer) {
  check(dataset, model_);
  const std::int64_t batch = options_.batch_size;
  if (batch > dataset.count()) {
    throw UsageError(fmt::format("batch size {} is larger than the {} images of {}", batch, dataset.count(),
                                 dataset.name));
  }
  const auto resident = state_.backend.upload(dataset);
  const std::int64_t full_steps = dataset.count() / batch;
  const std::int64_t rest = dataset.count() % batch;
  const auto full_step = network_of(batch).training_step(*resident);
  const auto rest_step = rest > 0 ? network_of(rest).training_step(*resident) : nullptr;

  // Whatever leaves this function, the device is done with the steps and the data set before they go.
  const std::unique_ptr<Backend, void (*)(Backend*)> quiet(&state_.backend, [](Backend* backend) {
    try {
      backend->synchronize();
    } catch (const std::exception&) {
      // An earlier error is on its way; this one says no more.
    }
  });
  const std::int64_t steps = options_.epochs * (full_steps + (rest > 0 ? 1 : 0));
  WeightAverage average(options_.settle_batches > 0 ? steps : 0);
  const auto start = Clock::now();
  for (std::int64_t epoch = 1; epoch <= options_.epochs; ++epoch) {
    resident->set_order(shuffled_order(dataset.count(), options_.seed, static_cast<std::uint32_t>(epoch)));
    train_epoch(
        epoch,
        [&](std::int64_t step) {
          step <= full_steps ? full_step() : rest_step();
          if (average.wants_next()) average.add(state_.parameters.weights());
        },
        dataset, observer, start);
  }
  settle(average, *resident, dataset.count());
  state_.backend.synchronize();
}

void Trainer::Impl::settle(const WeightAverage& average, ResidentDataset& resident, std::int64_t count) {
  for (const auto& [name, mean] : average.mean()) state_.parameters.write(name, mean.values);
  const std::int64_t batches = std::min(options_.settle_batches, count / options_.batch_size);
  if (batches == 0 || !has_batch_norm(model_)) return;
  const auto next_epoch = static_cast<std::uint32_t>(options_.epochs + 1);
  resident.set_order(shuffled_order(count, options_.seed, next_epoch));
  const auto step = network_of(options_.batch_size).settling_step(resident);
  for (std::int64_t i = 0; i < batches; ++i) step();
  state_.backend.synchronize();  // before `step` goes
}

void Trainer::Impl::train_epoch(std::int64_t epoch, const std::function<void(std::int64_t)>& run,
                                const Dataset& dataset, const TrainObserver& observer,
                                Clock::time_point start) {
  const std::int64_t count = dataset.count();
  const std::int64_t steps = (count + options_.batch_size - 1) / options_.batch_size;
  const auto epoch_start = Clock::now();
  const auto progress = [&](std::int64_t step) {
    const double seen = static_cast<double>(std::min(count, step * options_.batch_size));
    return Progress{.epoch = epoch,
                    .epochs = options_.epochs,
                    .step = step,
                    .steps = steps,
                    .images_per_second = seen / seconds_since(epoch_start),
                    .seconds = seconds_since(start)};
  };

  state_.metrics->reset();
  for (std::int64_t step = 1; step <= steps; ++step) {
    run(step);
    if (observer.step && options_.log_every > 0 && step % options_.log_every == 0) {
      const double loss = state_.metrics->read().last_loss;  // synchronises, so the clock is read after it
      observer.step({progress(step), loss});
    }
    if (observer.progress) observer.progress(progress(step));
  }
  if (observer.epoch) {
    const MetricsReading reading = state_.metrics->read();
    const auto samples = static_cast<double>(reading.samples);
    observer.epoch(
        {progress(steps), reading.loss_sum / samples, static_cast<double>(reading.correct) / samples});
  }
}

void Trainer::Impl::for_each_batch(const Dataset& dataset, const std::function<void(BatchNetwork&)>& visit) {
  check(dataset, model_);
  const auto resident = state_.backend.upload(dataset);
  resident->set_order(sequential_order(dataset.count()));
  state_.metrics->reset();

  const auto run = [&](std::int64_t batch, std::int64_t times) {
    if (times == 0) return;
    BatchNetwork& network = network_of(batch);
    const auto step = network.evaluation_step(*resident);
    for (std::int64_t i = 0; i < times; ++i) {
      step();
      visit(network);
    }
    state_.backend.synchronize();  // before `step` goes
  };
  const std::int64_t rest = dataset.count() % options_.batch_size;
  run(options_.batch_size, dataset.count() / options_.batch_size);
  if (rest > 0) run(rest, 1);
}

Evaluation Trainer::Impl::evaluate(const Dataset& dataset) {
  for_each_batch(dataset, [](BatchNetwork&) {});
  const MetricsReading reading = state_.metrics->read();
  const auto samples = static_cast<double>(reading.samples);
  return {reading.loss_sum / samples, static_cast<double>(reading.correct) / samples, reading.samples};
}

std::vector<double> Trainer::Impl::predict(const Dataset& dataset) {
  std::vector<double> logits;
  logits.reserve(static_cast<std::size_t>(dataset.count() * class_count(model_)));
  for_each_batch(dataset, [&](BatchNetwork& batch) {
    const auto output = state_.backend.read(*batch.network().output().value);
    logits.insert(logits.end(), output.begin(), output.end());
  });
  return logits;
}

Trainer::Trainer(Backend& backend, const Model& model, const StateDict& state, const TrainOptions& options) {
  check(options);
  impl_ = std::make_unique<Impl>(backend, model, state, options);
}

Trainer::~Trainer() = default;

void Trainer::fit(const Dataset& dataset, const TrainObserver& observer) { impl_->fit(dataset, observer); }

Evaluation Trainer::evaluate(const Dataset& dataset) { return impl_->evaluate(dataset); }

std::vector<double> Trainer::predict(const Dataset& dataset) { return impl_->predict(dataset); }

StateDict Trainer::state() const { return impl_->state(); }

}  // namespace convoy
