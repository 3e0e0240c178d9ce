// The optimizers straight from PyTorch's documentation, in double. Nothing here uses kernels/adam_math.h or
// kernels/sgd_math.h, which are checked against it.
#include <cmath>
#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/core/error.h"

namespace convoy::reference {
namespace {

template <typename T>
class Adam final : public Optimizer {
 public:
  Adam(Arena<T>& arena, const StepCounter& counter, const AdamOptions& options)
      : arena_(arena),
        counter_(counter),
        options_(options),
        first_(arena.values().size()),
        second_(arena.values().size()) {}

  void step() override {
    const std::int64_t count = counter_.read();
    if (count < 1) throw Error("Adam: the step counter must be 1 at the first update");
    const double beta1 = options_.beta1, beta2 = options_.beta2, rate = options_.learning_rate;
    const double bias1 = 1.0 - std::pow(beta1, static_cast<double>(count));
    const double bias2 = 1.0 - std::pow(beta2, static_cast<double>(count));
    const auto values = arena_.values(), gradients = arena_.gradients();
    for (std::size_t i = 0; i < values.size(); ++i) {
      double value = values[i], gradient = gradients[i];
      if (options_.decoupled_weight_decay) {
        value -= rate * options_.weight_decay * value;
      } else {
        gradient += options_.weight_decay * value;
      }
      const double first = beta1 * first_[i] + (1.0 - beta1) * gradient;
      const double second = beta2 * second_[i] + (1.0 - beta2) * gradient * gradient;
      const double update = first / bias1 / (std::sqrt(second / bias2) + options_.epsilon);
      values[i] = static_cast<T>(value - rate * update);
      first_[i] = static_cast<T>(first);
      second_[i] = static_cast<T>(second);
    }
  }

 private:
  Arena<T>& arena_;
  const StepCounter& counter_;
  AdamOptions options_;
  std::vector<T> first_, second_;  // the moments
};

template <typename T>
class Sgd final : public Optimizer {
 public:
  Sgd(Arena<T>& arena, const SgdOptions& options)
      : arena_(arena), options_(options), buffer_(arena.values().size()) {}

  void step() override {
    const double momentum = options_.momentum;
    const auto values = arena_.values(), gradients = arena_.gradients();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = values[i];
      const double gradient = gradients[i] + options_.weight_decay * value;
      const double buffer = first_step_ ? gradient : momentum * buffer_[i] + gradient;
      const double direction = options_.nesterov ? gradient + momentum * buffer : buffer;
      values[i] = static_cast<T>(value - options_.learning_rate * direction);
      buffer_[i] = static_cast<T>(buffer);
    }
    first_step_ = false;
  }

 private:
  Arena<T>& arena_;
  SgdOptions options_;
  std::vector<T> buffer_;  // of the momentum
  bool first_step_ = true;
};

}  // namespace

template <typename T>
std::unique_ptr<Optimizer> ReferenceBackend<T>::make_optimizer(ParameterArena& parameters,
                                                               const StepCounter& counter,
                                                               const OptimizerOptions& options) {
  check_optimizer(options);
  auto& arena = own<Arena<T>>("optimizer: the parameters", parameters);
  if (!arena.with_gradients()) throw UsageError("optimizer: the parameters were made without gradients");
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) return std::make_unique<Sgd<T>>(arena, *sgd);
  return std::make_unique<Adam<T>>(arena, counter, std::get<AdamOptions>(options));
}

template std::unique_ptr<Optimizer> ReferenceBackend<float>::make_optimizer(ParameterArena&,
                                                                            const StepCounter&,
                                                                            const OptimizerOptions&);
template std::unique_ptr<Optimizer> ReferenceBackend<double>::make_optimizer(ParameterArena&,
                                                                             const StepCounter&,
                                                                             const OptimizerOptions&);

}  // namespace convoy::reference
