#include "convoy/snapshot.h"

#include <fmt/format.h>

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

std::vector<NamedTensor> optimizer_tensors(const TrainingState& state) {
  std::vector<NamedTensor> result;
  for (const OptimizerState& kept : state.optimizer->state()) {
    for (NamedTensor& tensor : named(state.parameters, kept.name + ".", kept.tensors)) {
      result.push_back(std::move(tensor));
    }
  }
  return result;
}

std::vector<NamedTensor> average_tensors(const TrainingState& state) {
  return named(state.parameters, "", state.average->means());
}

StateDict read(const Backend& backend, const std::vector<NamedTensor>& tensors) {
  StateDict values;
  for (const NamedTensor& tensor : tensors) {
    values.emplace_back(tensor.name, HostTensor{tensor.shape, backend.read(*tensor.tensor), DType::float32});
  }
  return values;
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

void write(Backend& backend, const StateDict& values, const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& tensor : tensors) backend.write(*tensor.tensor, find(values, tensor.name)->values);
}

}  // namespace

TrainingSnapshot take_snapshot(const TrainingState& state) {
  const std::int64_t counter = state.counter->read();
  TrainingSnapshot snapshot{.model = state.parameters.state(counter),
                            .optimizer = read(state.backend, optimizer_tensors(state)),
                            .counter = counter,
                            .average = {},
                            .position = state.position,
                            .metrics = {}};
  if (state.average && state.average->count() > 0) {
    snapshot.average_count = state.average->count();
    snapshot.average = read(state.backend, average_tensors(state));
  }
  if (state.position.step > 0) snapshot.metrics = state.metrics->read();
  return snapshot;
}

void restore_snapshot(TrainingState& state, const TrainingSnapshot& snapshot) {
  if (snapshot.counter < 0 || snapshot.average_count < 0) {
    throw Error(fmt::format("the snapshot counts {} steps and {} averaged sets of weights, which cannot be",
                            snapshot.counter, snapshot.average_count));
  }
  const std::vector<NamedTensor> optimizer = optimizer_tensors(state);
  check(snapshot.optimizer, optimizer, "the optimizer");
  const bool averaged = state.average && snapshot.average_count > 0;
  if (averaged) check(snapshot.average, average_tensors(state), "the average");

  state.parameters.load(snapshot.model, snapshot.counter);
  write(state.backend, snapshot.optimizer, optimizer);
  state.counter->write(snapshot.counter);
  if (averaged) write(state.backend, snapshot.average, average_tensors(state));
  if (state.average) state.average->set_count(snapshot.average_count);
  state.metrics->write(snapshot.metrics);
  state.position = snapshot.position;
}

}  // namespace convoy
