// One batch through a network, on any backend: how a training step and an evaluation step go is written here,
// once.
#pragma once

#include <functional>
#include <memory>

#include "engine/backend/backend.h"
#include "engine/train/network.h"

namespace convoy {

/// What all batch sizes of a training share. The backend must outlive it.
struct TrainingState {
  Backend& backend;
  Parameters parameters;
  std::unique_ptr<StepCounter> counter;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<Optimizer> optimizer;

  TrainingState(Backend& device, const Model& model, const StateDict& state, const AdamOptions& adam);
};

/// A network of one batch size with its input, loss and labels, over shared parameters.
class BatchNetwork {
 public:
  /// Throws UsageError for shapes that do not fit.
  BatchNetwork(TrainingState& state, const Model& model, std::int64_t batch, std::uint64_t seed);

  /// A replayable training step on the data set's next batch: batch, forward, loss, backward, update.
  std::function<void()> training_step(ResidentDataset& dataset);

  /// A replayable pass of the next batch that only moves batch norm's running statistics: nothing is trained.
  std::function<void()> settling_step(ResidentDataset& dataset);

  /// A replayable evaluation of the next batch: batch, forward, loss into the metrics.
  std::function<void()> evaluation_step(ResidentDataset& dataset);

  const Network& network() const { return network_; }
  const NamedOperation& loss() const { return loss_; }

 private:
  TrainingState& state_;
  TensorPtr images_;
  TensorPtr labels_;
  Network network_;
  NamedOperation loss_;
};

}  // namespace convoy
