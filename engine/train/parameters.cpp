#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/train/network.h"

namespace convoy {

StateDict of_rank_0(Communicator& group, StateDict state) {
  if (group.size() == 1) return state;
  for (auto& [name, tensor] : state) group.broadcast(std::as_writable_bytes(std::span(tensor.values)));
  return state;
}

Parameters::Parameters(Backend& backend, const Model& model, const StateDict& state, bool with_gradients)
    : backend_(backend), specs_(tensor_specs(model)) {
  check_state(model, state, "the initial state");
  std::vector<Shape> trainable, statistics;
  for (const TensorSpec& spec : specs_) {
    if (spec.trainable()) {
      trainable.push_back(spec.shape);
    } else if (spec.role != TensorRole::num_batches_tracked) {
      statistics.push_back(spec.shape);
    }
  }
  arena_ = backend.make_parameters(trainable, with_gradients);
  statistics_ = backend.make_parameters(statistics, /*with_gradients=*/false);

  auto next = arena_->variables().begin();
  auto next_statistic = statistics_->variables().begin();
  for (const TensorSpec& spec : specs_) {
    Variable variable;
    if (spec.trainable()) {
      variable = *next++;
    } else if (spec.role != TensorRole::num_batches_tracked) {
      variable = *next_statistic++;
    }
    variables_.push_back(variable);
  }
  batches_tracked_.resize(specs_.size());
  load(state, 0);
}

std::vector<TensorPtr> Parameters::tensors() const {
  std::vector<TensorPtr> tensors;
  for (const Variable& variable : variables_) {
    if (variable.value) tensors.push_back(variable.value);
  }
  return tensors;
}

StateDict Parameters::state(std::int64_t training_steps) const {
  std::vector<std::vector<double>> values;
  for (const TensorPtr& tensor : tensors()) values.push_back(backend_.read(*tensor));
  return state(values, training_steps);
}

StateDict Parameters::state(std::span<std::vector<double>> read, std::int64_t training_steps) const {
  StateDict state;
  auto next = read.begin();
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const TensorSpec& spec = specs_[i];
    std::vector<double> values = spec.role == TensorRole::num_batches_tracked
                                     ? std::vector{batches_tracked_[i] + static_cast<double>(training_steps)}
                                     : std::move(*next++);
    state.emplace_back(spec.name, HostTensor{spec.shape, std::move(values), spec.dtype});
  }
  return state;
}

StateDict Parameters::gradients() const {
  StateDict gradients;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (!variables_[i].grad) continue;
    gradients.emplace_back(specs_[i].name,
                           HostTensor{specs_[i].shape, backend_.read(*variables_[i].grad), specs_[i].dtype});
  }
  return gradients;
}

void Parameters::load(const StateDict& state, std::int64_t training_steps) {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const std::vector<double>& values = find(state, specs_[i].name)->values;
    if (specs_[i].role == TensorRole::num_batches_tracked) {
      batches_tracked_[i] = values[0] - static_cast<double>(training_steps);
    } else {
      backend_.write(*variables_[i].value, values);
    }
  }
}

void Parameters::share_statistics() {
  Communicator& group = backend_.group();
  if (group.size() == 1) return;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const TensorRole role = specs_[i].role;
    if (role != TensorRole::running_mean && role != TensorRole::running_var) continue;
    std::vector<double> values = backend_.read(*variables_[i].value);
    group.broadcast(std::as_writable_bytes(std::span(values)));
    backend_.write(*variables_[i].value, values);
  }
}

const Variable& Parameters::at(const std::string& name) const {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].name == name) return variables_[i];
  }
  throw Error(fmt::format("the model has no tensor '{}'", name));
}

}  // namespace convoy
