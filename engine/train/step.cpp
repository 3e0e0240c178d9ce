#include "engine/train/step.h"

#include "engine/model/state.h"

namespace convoy {

TrainingState::TrainingState(Backend& device, const Model& model, const StateDict& state,
                             const AdamOptions& adam)
    : backend(device),
      parameters(device, model, state),
      counter(device.make_counter()),
      metrics(device.make_metrics()),
      optimizer(device.make_adam(parameters.arena(), *counter, adam)) {}

namespace {

Shape batch_shape(const Model& model, std::int64_t batch) {
  return {batch, model.input[0], model.input[1], model.input[2]};
}

}  // namespace

BatchNetwork::BatchNetwork(TrainingState& state, const Model& model, std::int64_t batch, std::uint64_t seed)
    : state_(state),
      images_(state.backend.make_tensor(batch_shape(model, batch), DType::float32)),
      labels_(state.backend.make_tensor({batch}, DType::int32)),
      network_(state.backend, model, state.parameters, {images_, nullptr}, {seed, state.counter.get()}),
      loss_{"loss", "CrossEntropy",
            state.backend.make_cross_entropy(network_.output(), labels_, *state.metrics)} {}

std::function<void()> BatchNetwork::training_step(ResidentDataset& dataset) {
  std::shared_ptr<Operation> batch = state_.backend.make_batch(dataset, images_, labels_);
  return state_.backend.record([this, batch] {
    state_.counter->increment();
    batch->forward(Phase::training);
    network_.forward(Phase::training);
    loss_.operation->forward(Phase::training);
    loss_.operation->backward();
    network_.backward();
    state_.optimizer->step();
  });
}

std::function<void()> BatchNetwork::settling_step(ResidentDataset& dataset) {
  std::shared_ptr<Operation> batch = state_.backend.make_batch(dataset, images_, labels_);
  return state_.backend.record([this, batch] {
    batch->forward(Phase::training);
    network_.forward(Phase::training);
  });
}

std::function<void()> BatchNetwork::evaluation_step(ResidentDataset& dataset) {
  std::shared_ptr<Operation> batch = state_.backend.make_batch(dataset, images_, labels_);
  return state_.backend.record([this, batch] {
    batch->forward(Phase::evaluation);
    network_.forward(Phase::evaluation);
    loss_.operation->forward(Phase::evaluation);
  });
}

}  // namespace convoy
