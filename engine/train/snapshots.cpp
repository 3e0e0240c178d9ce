#include "engine/train/snapshots.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

struct NamedTensor {
  std::string name;
  Shape shape;  // as the state dict has it
  TensorPtr tensor;
};

// Tensors of which there is one a parameter, in the arena's order.
std::vector<NamedTensor> named(const Parameters& parameters, const std::string& prefix,
                               std::span<const TensorPtr> tensors) {
  std::vector<NamedTensor> result;
  auto next = tensors.begin();
  for (const TensorSpec& spec : parameters.specs()) {
    if (spec.trainable()) result.push_back({prefix + spec.name, spec.shape, *next++});
  }
  return result;
}

// Each parameter's tensors are those of the optimizer that has it: the others of the arena stay zero.
std::vector<NamedTensor> optimizer_tensors(const TrainingState& state) {
  std::vector<NamedTensor> result;
  const auto add = [&](const Optimizer& optimizer, bool of_muon) {
    for (const OptimizerState& kept : optimizer.state()) {
      std::vector<NamedTensor> tensors = named(state.parameters, kept.name + ".", kept.tensors);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        const bool is_muons = !state.groups.empty() && state.groups[i] == ParameterGroup::orthogonalized;
        if (is_muons == of_muon) result.push_back(std::move(tensors[i]));
      }
    }
  };
  add(*state.optimizer, false);
  if (state.muon) add(*state.muon, true);
  return result;
}

std::vector<NamedTensor> average_tensors(const TrainingState& state) {
  return named(state.parameters, "", state.average->means());
}

std::vector<NamedTensor> ema_tensors(const TrainingState& state) {
  const std::span<const TensorPtr> means = state.ema->means();
  std::vector<NamedTensor> result = named(state.parameters, "", means);
  auto next = means.begin() + std::ssize(result);
  for (const TensorSpec& spec : state.parameters.specs()) {
    if (spec.trainable() || spec.role == TensorRole::num_batches_tracked) continue;
    result.push_back({spec.name, spec.shape, *next++});
  }
  return result;
}

void check(const StateDict& values, const std::vector<NamedTensor>& tensors, const std::string& whose) {
  for (const NamedTensor& tensor : tensors) {
    const HostTensor* const found = find(values, tensor.name);
    if (!found) throw Error(fmt::format("the snapshot lacks {}'s tensor {}", whose, tensor.name));
    if (found->shape != tensor.shape) {
      throw Error(fmt::format("the snapshot's {} of {} is {}, not {}", tensor.name, whose, found->shape.str(),
                              tensor.shape.str()));
    }
    if (std::ssize(found->values) != tensor.shape.count()) {
      throw Error(fmt::format("the snapshot's {} of {} has {} values, not {}", tensor.name, whose,
                              found->values.size(), tensor.shape.count()));
    }
  }
  if (values.size() == tensors.size()) return;
  throw Error(fmt::format("the snapshot is of another optimizer or model: {} has {} tensors, not {}", whose,
                          tensors.size(), values.size()));
}

// Those of a group. A snapshot is taken by one process, so it must not ask the others.
MetricsReading group_metrics(const TrainingState& state) {
  if (state.group_metrics && state.group_metrics->first == state.position) return state.group_metrics->second;
  throw Error("a snapshot within an epoch needs Trainer::metrics of all processes at that step");
}

void write(Backend& backend, const StateDict& values, const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& tensor : tensors) backend.write(*tensor.tensor, find(values, tensor.name)->values);
}

}  // namespace

SnapshotTaker::SnapshotTaker(const TrainingState& state) : state_(state) {
  std::vector<TensorPtr> tensors = state.parameters.tensors();
  const auto add = [&](const std::vector<NamedTensor>& more) {
    for (const NamedTensor& tensor : more) tensors.push_back(tensor.tensor);
  };
  add(optimizer_tensors(state));
  if (state.average) add(average_tensors(state));
  if (state.ema) add(ema_tensors(state));
  stager_ = state.backend.make_stager({std::move(tensors), *state.counter, *state.metrics});
}

std::function<TrainingSnapshot()> SnapshotTaker::begin() {
  if (!free_.try_acquire()) throw UsageError("the snapshot that was begun before has not been read yet");
  // Given back when the last copy of the function is destroyed.
  const auto give_back = [](std::binary_semaphore* free) { free->release(); };
  std::shared_ptr<std::binary_semaphore> taken(&free_, give_back);
  const bool of_group = state_.backend.group().size() > 1 && state_.position.step > 0;
  const MetricsReading metrics = of_group ? group_metrics(state_) : MetricsReading{};
  stager_->stage();
  TrainingSnapshot begun{.model = {},
                         .parameters = {},
                         .undecayed = {},
                         .orthogonalized = {},
                         .optimizer = {},
                         .total_steps = state_.total_steps,
                         .average_count = state_.average ? state_.average->count() : 0,
                         .average = {},
                         .ema_count = state_.ema ? state_.ema->begun() : 0,  // until the step is known
                         .ema = {},
                         .position = state_.position,
                         .metrics = metrics};
  return [this, taken = std::move(taken), begun = std::move(begun)] { return finish(begun); };
}

TrainingSnapshot SnapshotTaker::finish(TrainingSnapshot snapshot) {
  StagedValues staged = stager_->read();
  auto next = staged.tensors.begin();
  const auto values_of = [&](const std::vector<NamedTensor>& tensors) {
    StateDict values;
    for (const NamedTensor& tensor : tensors) {
      values.emplace_back(tensor.name, HostTensor{tensor.shape, std::move(*next++), DType::float32});
    }
    return values;
  };
  snapshot.counter = staged.step;
  const std::size_t tensors = state_.parameters.tensors().size();
  snapshot.model = state_.parameters.state({next, tensors}, snapshot.counter);
  next += static_cast<std::ptrdiff_t>(tensors);
  for (const TensorSpec& spec : state_.parameters.specs()) {
    if (!spec.trainable()) continue;
    const std::size_t i = snapshot.parameters.size();
    snapshot.parameters.push_back(spec.name);
    if (state_.groups.empty()) continue;
    if (state_.groups[i] == ParameterGroup::undecayed) snapshot.undecayed.push_back(spec.name);
    if (state_.groups[i] == ParameterGroup::orthogonalized) snapshot.orthogonalized.push_back(spec.name);
  }
  snapshot.optimizer = values_of(optimizer_tensors(state_));
  if (state_.average) {
    StateDict average = values_of(average_tensors(state_));
    if (snapshot.average_count > 0) snapshot.average = std::move(average);
  }
  if (state_.ema) {
    snapshot.ema_count = snapshot.counter - snapshot.ema_count;
    if (snapshot.ema_count > 0) snapshot.ema = values_of(ema_tensors(state_));
  }
  const bool alone = state_.backend.group().size() == 1;
  if (alone && snapshot.position.step > 0) snapshot.metrics = staged.metrics;
  return snapshot;
}

void restore_snapshot(TrainingState& state, const TrainingSnapshot& snapshot) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;  // a file may hold anything
  if (snapshot.counter < 0 || snapshot.counter > kMost || snapshot.average_count < 0 ||
      snapshot.average_count > kMost || snapshot.ema_count < 0 || snapshot.ema_count > snapshot.counter) {
    throw Error(fmt::format("the snapshot counts {} steps and {} averaged sets of weights, which cannot be",
                            snapshot.counter, std::max(snapshot.average_count, snapshot.ema_count)));
  }
  const std::vector<NamedTensor> optimizer = optimizer_tensors(state);
  check(snapshot.optimizer, optimizer, "the optimizer");
  const bool averaged = state.average && snapshot.average_count > 0;
  if (averaged) check(snapshot.average, average_tensors(state), "the average");
  const bool moving = state.ema && snapshot.ema_count > 0;
  if (moving) check(snapshot.ema, ema_tensors(state), "the moving average");

  state.parameters.load(snapshot.model, snapshot.counter);
  write(state.backend, snapshot.optimizer, optimizer);
  state.counter->write(snapshot.counter);
  state.counted = snapshot.counter;
  if (averaged) write(state.backend, snapshot.average, average_tensors(state));
  if (state.average) state.average->set_count(snapshot.average_count);
  if (moving) write(state.backend, snapshot.ema, ema_tensors(state));
  if (state.ema) state.ema->begin_behind(snapshot.counter - snapshot.ema_count);
  state.metrics->write(state.backend.group().leads() ? snapshot.metrics : MetricsReading{});
  state.position = snapshot.position;
  state.group_metrics = {snapshot.position, snapshot.metrics};
  state.total_steps = snapshot.total_steps;
}

}  // namespace convoy
