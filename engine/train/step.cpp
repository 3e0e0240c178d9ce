#include "engine/train/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/core/random_streams.h"
#include "engine/train/gradient_buckets.h"
#include "engine/train/update_parts.h"

namespace convoy {
namespace {

Shape batch_shape(const Model& model, std::int64_t batch) {
  return {batch, model.input[0], model.input[1], model.input[2]};
}

const trace::Name& pass_range(Pass pass) {
  static const std::array<trace::Name, 4> names = {
      trace::Name(name_of(Pass::input)), trace::Name(name_of(Pass::forward)),
      trace::Name(name_of(Pass::backward)), trace::Name(name_of(Pass::update))};
  return names[static_cast<std::size_t>(pass)];
}

StepPart forward_of(const NamedOperation& named, Phase phase) {
  Operation* operation = named.operation.get();
  StepPart part{named.name, named.type, Pass::forward, [operation, phase] { operation->forward(phase); }, {}};
  if (operation->output().value) part.writes.push_back(operation->output().value);
  part.writes.insert(part.writes.end(), named.statistics.begin(), named.statistics.end());
  part.work = forward_work(named);
  return part;
}

StepPart backward_of(const NamedOperation& named) {
  Operation* operation = named.operation.get();
  StepPart part{named.name, named.type, Pass::backward, [operation] { operation->backward(); }, {}};
  for (const std::vector<Variable>& variables : {named.inputs, named.parameters}) {
    for (const Variable& variable : variables) {
      if (variable.grad) part.writes.push_back(variable.grad);
    }
  }
  part.work = backward_work(named);
  return part;
}

/// Adds the parts that sum the gradients of a group: between the backward passes that make them, where there
/// are several buckets. Does nothing for a process alone.
class GradientSumParts {
 public:
  GradientSumParts(TrainingState& state, bool contributes)
      : parameters_(state.parameters.arena().variables()) {
    if (state.backend.group().size() == 1) return;
    sum_ = state.backend.make_gradient_sum(state.parameters.arena(), contributes);
    buckets_ = gradient_buckets(parameters_);
    missing_.assign(parameters_.size(), false);
  }

  /// To be told of all operations first: a gradient that nobody writes stays 0, and is waited for by nobody.
  void expect(const NamedOperation& operation) { mark(operation, true); }

  /// Behind the operation's backward.
  void written(const NamedOperation& operation, std::vector<StepPart>& parts) {
    mark(operation, false);
    while (begun_ + 1 < buckets_.size() && is_complete(buckets_[begun_])) begin_next(parts);
  }

  /// Behind all of them.
  void finish(std::vector<StepPart>& parts) {
    if (!sum_) return;
    while (begun_ + 1 < buckets_.size()) begin_next(parts);
    std::vector<TensorPtr> gradients;
    for (const Variable& parameter : parameters_) gradients.push_back(parameter.grad);
    parts.push_back({kAllReduce, "Sum", Pass::update,
                     [sum = sum_, bucket = buckets_.back()] {
                       sum->start(bucket.first, bucket.last);
                       sum->finish();
                     },
                     std::move(gradients)});
  }

 private:
  void mark(const NamedOperation& operation, bool missing) {
    if (!sum_) return;
    for (const Variable& written : operation.parameters) {
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        if (written.grad && written.grad == parameters_[i].grad) missing_[i] = missing;
      }
    }
  }

  bool is_complete(const GradientBucket& bucket) const {
    const auto begin = missing_.begin();
    return std::none_of(begin + static_cast<std::ptrdiff_t>(bucket.first),
                        begin + static_cast<std::ptrdiff_t>(bucket.last),
                        [](bool missing) { return missing; });
  }

  void begin_next(std::vector<StepPart>& parts) {
    parts.push_back({fmt::format("{}.{}", kAllReduce, begun_),
                     "Sum",
                     Pass::update,
                     [sum = sum_, bucket = buckets_[begun_]] { sum->start(bucket.first, bucket.last); },
                     {}});
    ++begun_;
  }

  std::span<const Variable> parameters_;
  std::shared_ptr<GradientSum> sum_;  // null for a process alone
  std::vector<GradientBucket> buckets_;
  std::vector<bool> missing_;  // by parameter: its gradient is still to be written
  std::size_t begun_ = 0;      // buckets
};

}  // namespace

const char* name_of(Pass pass) {
  switch (pass) {
    case Pass::input:
      return "input";
    case Pass::forward:
      return "forward";
    case Pass::backward:
      return "backward";
    case Pass::update:
      break;
  }
  return "update";
}

std::string StepPart::label() const {
  if (pass == Pass::forward) return name + ".fprop";
  if (pass == Pass::backward) return name + ".bprop";
  return name;
}

Step::Step(Backend& backend, std::vector<StepPart> parts, StepSamples samples, FiniteCheck* check)
    : parts_(std::move(parts)), samples_(samples), check_(check) {
  for (const StepPart& part : parts_) names_.emplace_back(part.label());
  replay_ = backend.record([this] { walk([](std::size_t) {}); });
}

void Step::run(std::int64_t times) {
  while (times > 0) {
    const std::int64_t ready = samples_.dataset ? samples_.dataset->provide(samples_.rows, times) : times;
    replay_->run(ready);
    times -= ready;
  }
}

void Step::run_parts(const std::function<void(std::size_t)>& before) const {
  if (samples_.dataset) samples_.dataset->provide(samples_.rows, 1);
  walk(before);
}

void Step::walk(const std::function<void(std::size_t)>& before) const {
  std::optional<trace::Range> range;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Pass pass = parts_[i].pass;
    if (i == 0 || pass != parts_[i - 1].pass) {
      range.reset();  // the one before closes first: ranges nest
      range.emplace(pass_range(pass));
    }
    before(i);
    run_part(i);
  }
  before(parts_.size());
}

void Step::run_part(std::size_t index) const {
  const StepPart& part = parts_[index];
  const trace::Range range(names_[index]);
  try {
    part.run();
    if (!check_) return;
    for (const TensorPtr& tensor : part.writes) check_->look(*tensor, static_cast<std::int32_t>(index));
  } catch (const UsageError&) {
    throw;  // says itself what was asked wrongly
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", part.label(), error.what()));
  }
}

NetworkState::NetworkState(Backend& device, const Model& model, const StateDict& state, bool with_gradients,
                           const StepRule& rule)
    : backend(device),
      parameters(device, model, state, with_gradients),
      counter(device.make_counter(rule)),
      metrics(device.make_metrics()) {}

TrainingState::TrainingState(Backend& device, const Model& model, const StateDict& state,
                             const StepOptions& step)
    : NetworkState(device, model, state, /*with_gradients=*/true, step_rule(step.optimizer)),
      options(step),
      groups(parameter_groups(parameters.specs(), step.decay_weights_only, step.muon)),
      clip(step.clip_norm != 0.0f ? device.make_gradient_clip(parameters.arena(), step.clip_norm) : nullptr),
      optimizer(device.make_optimizer(parameters.arena(), *counter, step.optimizer, {groups, clip.get()})),
      muon(step.muon ? device.make_muon(parameters.arena(), *counter, *step.muon, {groups, clip.get()})
                     : nullptr),
      finite_check(step.check_finite ? device.make_finite_check(*counter) : nullptr),
      average(step.average ? device.make_average(parameters.arena()) : nullptr) {
  if (step.ema_decay != 0.0) {
    ema = device.make_moving_average(parameters.arena(), parameters.statistics(), *counter, step.ema_decay);
  }
  if (step.check_finite) convoy::check_finite(state, "the initial state");
}

MetricsReading read_metrics(TrainingState& state) {
  MetricsReading reading = state.metrics->read();
  if (state.idle) reading.last_loss = 0.0;  // no part of it is this process's
  reading = sum_over(state.backend.group(), reading);
  state.group_metrics = {state.position, reading};
  return reading;
}

BatchNetwork::BatchNetwork(NetworkState& state, const Model& model, const BatchShare& share,
                           std::uint64_t seed, double label_smoothing)
    : backend_(state.backend),
      images_(state.backend.make_activation(batch_shape(model, share.rows))),
      labels_(state.backend.make_tensor({share.rows}, DType::int32)),
      network_(state.backend, model, state.parameters, {images_, nullptr},
               {seed, state.counter.get(), share.first}),
      loss_{"loss",
            "CrossEntropy",
            state.backend.make_cross_entropy(network_.output(), labels_, *state.metrics, share.of,
                                             label_smoothing),
            {network_.output()}} {}

StepPart BatchNetwork::batch_part(DeviceDataset& dataset, const AugmentationSource& augmentation, Phase phase,
                                  StepCounter* counter) {
  std::shared_ptr<Operation> batch = backend_.make_batch(dataset, images_, labels_, augmentation, counter);
  return {"batch",     "Batch",
          Pass::input, [batch, phase] { batch->forward(phase); },
          {images_},   batch_work(images_->shape())};
}

void BatchNetwork::add_forward(std::vector<StepPart>& parts, Phase phase) {
  for (const NamedOperation& operation : network_.operations()) parts.push_back(forward_of(operation, phase));
}

std::unique_ptr<Step> BatchNetwork::evaluation_step(DeviceDataset& dataset, const ImageView& view) {
  std::vector<StepPart> parts;
  parts.push_back(batch_part(dataset, {.view = view}, Phase::evaluation, nullptr));
  add_forward(parts, Phase::evaluation);
  parts.push_back(forward_of(loss_, Phase::evaluation));
  return std::make_unique<Step>(backend_, std::move(parts), samples_of(dataset));
}

TrainingNetwork::TrainingNetwork(TrainingState& state, const Model& model, const BatchShare& share)
    : BatchNetwork(state, model, share, state.options.seed, state.options.label_smoothing),
      state_(state),
      first_row_(share.first) {}

std::unique_ptr<Step> TrainingNetwork::training_step(DeviceDataset& dataset) {
  const AugmentationSource augmentation{
      state_.options.augmentation,
      {state_.options.seed, random_streams::kAugmentation, static_cast<std::uint64_t>(first_row_)},
      state_.counter.get()};
  std::vector<StepPart> parts;
  parts.push_back(batch_part(dataset, augmentation, Phase::training, state_.counter.get()));
  add_forward(parts, Phase::training);
  parts.push_back(forward_of(loss(), Phase::training));
  parts.push_back(backward_of(loss()));
  const auto operations = network().operations();
  GradientSumParts sum(state_, /*contributes=*/true);
  for (const NamedOperation& operation : operations) sum.expect(operation);
  for (auto operation = operations.rbegin(); operation != operations.rend(); ++operation) {
    parts.push_back(backward_of(*operation));
    sum.written(*operation, parts);
  }
  sum.finish(parts);
  add_update_parts(state_, parts);
  return std::make_unique<Step>(state_.backend, std::move(parts), samples_of(dataset),
                                state_.finite_check.get());
}

std::unique_ptr<Step> idle_step(TrainingState& state) {
  std::vector<StepPart> parts;
  parts.push_back({"batch", "StepCounter", Pass::input, [&state] { state.counter->advance(); }, {}});
  GradientSumParts(state, /*contributes=*/false).finish(parts);
  add_update_parts(state, parts);
  return std::make_unique<Step>(state.backend, std::move(parts));
}

std::unique_ptr<Step> TrainingNetwork::settling_step(DeviceDataset& dataset) {
  std::vector<StepPart> parts;
  // Images as they are, as they are evaluated.
  parts.push_back(batch_part(dataset, {}, Phase::evaluation, state_.counter.get()));
  add_forward(parts, Phase::training);
  return std::make_unique<Step>(state_.backend, std::move(parts), samples_of(dataset));
}

}  // namespace convoy
