// A Model compiled for a backend and a batch size: operations in order, connected by their tensors.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convoy/model.h"
#include "convoy/state.h"
#include "engine/backend/backend.h"

namespace convoy {

/// Rank 0's state for all processes of the group: they begin with the same bits, wherever each got its own.
StateDict of_rank_0(Communicator& group, StateDict state);

/// The tensors of one model on one backend. Networks of several batch sizes share them.
class Parameters {
 public:
  /// Allocates on `backend` (which must outlive this) and fills from `state`. What is only evaluated needs no
  /// gradients. Throws Error if the state is not the model's (see check_state).
  Parameters(Backend& backend, const Model& model, const StateDict& state, bool with_gradients = true);

  /// Reads everything back, in `state_dict()` order; synchronises. `training_steps` is how often the network
  /// ran forward in training since the state was loaded: num_batches_tracked grows by it.
  StateDict state(std::int64_t training_steps) const;

  /// The same of what was read of tensors(), in their order.
  StateDict state(std::span<std::vector<double>> read, std::int64_t training_steps) const;

  /// What is on the device: all but num_batches_tracked.
  std::vector<TensorPtr> tensors() const;

  /// The gradients under their parameters' names; synchronises.
  StateDict gradients() const;

  /// By state-dict name. Throws Error for an unknown one.
  const Variable& at(const std::string& name) const;
  ParameterArena& arena() { return *arena_; }
  /// The running statistics of batch norms, in the order of specs(); of no length for a model without.
  ParameterArena& statistics() { return *statistics_; }

  /// What the state dict has, in its order. The trainable ones are the arena's, in the arena's order.
  std::span<const TensorSpec> specs() const { return specs_; }

  /// Overwrites everything. `training_steps` of the state's num_batches_tracked are those that `state` will
  /// be told of. The state must have passed check_state.
  void load(const StateDict& state, std::int64_t training_steps);

  /// Gives all processes of the group rank 0's running statistics: those of the model.
  void share_statistics();

 private:
  Backend& backend_;
  std::vector<TensorSpec> specs_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<ParameterArena> statistics_;
  std::vector<Variable> variables_;      // of specs_; the counters' are empty
  std::vector<double> batches_tracked_;  // of specs_: what the counters were loaded as
};

/// One executable step of a network, named for profiles: "layer1.0", "layer1.1+relu".
struct NamedOperation {
  std::string name;
  std::string type;  // "Conv2d", "Conv2d+ReLU", ...
  OperationPtr operation;
  std::vector<Variable> inputs;  // that it reads; where they have gradients, its backward writes them
  std::vector<Variable> parameters = {};   // likewise
  std::vector<TensorPtr> statistics = {};  // that its forward writes in training, beside its output
};

/// What dropout needs: where its masks come from.
struct DropoutSource {
  std::uint64_t seed = 0;
  const StepCounter* counter = nullptr;  // needed only by a model with Dropout
  std::int64_t first_row = 0;            // of the batch that the images are a part of
};

class Network {
 public:
  /// Connects `model` to `images` ([N, C, H, W]; its gradient may be null) and `parameters`. A convolution or
  /// a batch norm becomes one operation with the ReLU behind it, and with the max pool behind that where the
  /// backend `fuses` it. Flatten is no operation but a view. Throws UsageError for shapes that do not fit.
  Network(Backend& backend, const Model& model, const Parameters& parameters, const Variable& images,
          DropoutSource dropout);

  void forward(Phase phase);
  void backward();

  /// What the last layer puts out.
  const Variable& output() const { return output_; }
  std::span<const NamedOperation> operations() const { return operations_; }

 private:
  friend class NetworkBuilder;
  std::vector<NamedOperation> operations_;
  Variable output_;
};

}  // namespace convoy
