#include "convoy/inference.h"

#include <fmt/format.h>

#include <map>

#include "convoy/error.h"
#include "convoy/fold.h"
#include "engine/train/evaluation_pass.h"
#include "engine/train/step.h"

namespace convoy {

class Inference::Impl {
 public:
  Impl(Backend& backend, FoldedModel folded, std::int64_t batch_size)
      : model_(std::move(folded.model)),
        batch_size_(batch_size),
        state_(backend, model_, folded.state, /*with_gradients=*/false) {
    network_of(batch_size);
  }

  std::unique_ptr<Evaluator> evaluator(const Dataset& dataset, const TestTimeAugmentation& augmentation) {
    return make_evaluator({state_, model_, batch_size_,
                           [this](std::int64_t batch) -> BatchNetwork& { return network_of(batch); }},
                          dataset, augmentation);
  }

 private:
  // Made on first use, kept for good, as a Trainer's.
  BatchNetwork& network_of(std::int64_t batch) {
    auto& network = networks_[batch];
    if (!network) network = std::make_unique<BatchNetwork>(state_, model_, batch);
    return *network;
  }

  Model model_;
  std::int64_t batch_size_;
  NetworkState state_;
  std::map<std::int64_t, std::unique_ptr<BatchNetwork>> networks_;
};

Inference::Inference(Backend& backend, const Model& model, const StateDict& state, std::int64_t batch_size) {
  if (batch_size < 1) throw UsageError(fmt::format("batch size {} is not positive", batch_size));
  check_state(model, state, "the state");
  // cuDNN does not promise that a ReLU in its graphs passes a NaN on: what it made of one would look like an
  // answer.
  check_finite(state, "the state");
  impl_ = std::make_unique<Impl>(backend, fold_batch_norm(model, state), batch_size);
}

Inference::~Inference() = default;

std::unique_ptr<Evaluator> Inference::evaluator(const Dataset& dataset,
                                                const TestTimeAugmentation& augmentation) {
  return impl_->evaluator(dataset, augmentation);
}

Evaluation Inference::evaluate(const Dataset& dataset, const TestTimeAugmentation& augmentation) {
  return evaluator(dataset, augmentation)->evaluate();
}

std::vector<double> Inference::predict(const Dataset& dataset, const TestTimeAugmentation& augmentation) {
  return evaluator(dataset, augmentation)->predict();
}

}  // namespace convoy
