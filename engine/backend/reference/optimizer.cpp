// The optimizers straight from PyTorch's documentation, in double. Nothing here uses
// kernels/*_math.h, which are checked against it.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/reference/schedule.h"

namespace convoy::reference {
namespace {

template <typename T>
using Memory = std::shared_ptr<std::vector<T>>;

template <typename T>
Memory<T> zeros_for(Arena<T>& arena) {
  return std::make_shared<std::vector<T>>(arena.values().size());
}

std::int64_t step_of(const StepCounter& counter) {
  const std::int64_t step = counter.read();
  if (step < 1) throw Error("optimizer: the step counter must be 1 at the first update");
  return step;
}

template <typename T>
class Adam final : public Optimizer {
 public:
  Adam(Arena<T>& arena, const StepCounter& counter, const AdamOptions& options)
      : arena_(arena),
        counter_(counter),
        options_(options),
        first_(zeros_for(arena)),
        second_(zeros_for(arena)) {
    state_ = {{"exp_avg", arena.tensors_over(first_)}, {"exp_avg_sq", arena.tensors_over(second_)}};
  }

  void step() override {
    const std::int64_t count = step_of(counter_);
    const ParameterGroup group = group_at(counter_.rule(), count);
    const double beta1 = group.momentum, beta2 = options_.beta2, rate = group.lr;
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
      const double first = beta1 * first_->at(i) + (1.0 - beta1) * gradient;
      const double second = beta2 * second_->at(i) + (1.0 - beta2) * gradient * gradient;
      const double update = first / bias1 / (std::sqrt(second / bias2) + options_.epsilon);
      values[i] = static_cast<T>(value - rate * update);
      first_->at(i) = static_cast<T>(first);
      second_->at(i) = static_cast<T>(second);
    }
  }

 private:
  Arena<T>& arena_;
  const StepCounter& counter_;
  AdamOptions options_;
  Memory<T> first_, second_;  // the moments
};

template <typename T>
class Sgd final : public Optimizer {
 public:
  Sgd(Arena<T>& arena, const StepCounter& counter, const SgdOptions& options)
      : arena_(arena), counter_(counter), options_(options), buffer_(zeros_for(arena)) {
    if (options.momentum != 0.0f) state_ = {{"momentum_buffer", arena.tensors_over(buffer_)}};
  }

  void step() override {
    const auto [rate, momentum] = group_at(counter_.rule(), step_of(counter_));
    const auto values = arena_.values(), gradients = arena_.gradients();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = values[i];
      const double gradient = gradients[i] + options_.weight_decay * value;
      // PyTorch's first buffer is the gradient, and so is this one: it starts at zero.
      const double buffer = momentum * buffer_->at(i) + gradient;
      const double direction = options_.nesterov ? gradient + momentum * buffer : buffer;
      values[i] = static_cast<T>(value - rate * direction);
      buffer_->at(i) = static_cast<T>(buffer);
    }
  }

 private:
  Arena<T>& arena_;
  const StepCounter& counter_;
  SgdOptions options_;
  Memory<T> buffer_;  // of the momentum
};

// torch.optim.swa_utils.AveragedModel.
template <typename T>
class Average final : public ParameterAverage {
 public:
  explicit Average(Arena<T>& arena) : arena_(arena), memory_(zeros_for(arena)) {
    means_ = arena.tensors_over(memory_);
  }

 private:
  void add_sample(std::int64_t count) override {
    const auto values = arena_.values();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = values[i], mean = memory_->at(i);
      memory_->at(i) =
          static_cast<T>(count == 1 ? value : mean + (value - mean) / static_cast<double>(count));
    }
  }

  void store_means() override { std::ranges::copy(*memory_, arena_.values().begin()); }

  Arena<T>& arena_;
  Memory<T> memory_;
};

}  // namespace

template <typename T>
std::unique_ptr<ParameterAverage> ReferenceBackend<T>::make_average(ParameterArena& parameters) {
  return std::make_unique<Average<T>>(own<Arena<T>>("average: the parameters", parameters));
}

template <typename T>
std::unique_ptr<GradientSum> ReferenceBackend<T>::make_gradient_sum(ParameterArena& parameters,
                                                                    bool contributes) {
  auto& arena = own<Arena<T>>("the sum of gradients: the parameters", parameters);
  if (!arena.with_gradients()) throw UsageError("the sum of gradients: the parameters were made without");
  std::vector<std::span<T>> parts;
  for (const Variable& variable : arena.variables()) {
    parts.push_back(as_real<T>("the sum of gradients", variable.grad)->values());
  }
  return std::make_unique<HostGradientSum<T>>(group(), std::move(parts), contributes);
}

template <typename T>
std::unique_ptr<Optimizer> ReferenceBackend<T>::make_optimizer(ParameterArena& parameters,
                                                               const StepCounter& counter,
                                                               const OptimizerOptions& options) {
  check_optimizer(options);
  auto& arena = own<Arena<T>>("optimizer: the parameters", parameters);
  if (!arena.with_gradients()) throw UsageError("optimizer: the parameters were made without gradients");
  check_step_rule(counter.rule(), options);
  if (const auto* sgd = std::get_if<SgdOptions>(&options))
    return std::make_unique<Sgd<T>>(arena, counter, *sgd);
  return std::make_unique<Adam<T>>(arena, counter, std::get<AdamOptions>(options));
}

template std::unique_ptr<ParameterAverage> ReferenceBackend<float>::make_average(ParameterArena&);
template std::unique_ptr<ParameterAverage> ReferenceBackend<double>::make_average(ParameterArena&);
template std::unique_ptr<GradientSum> ReferenceBackend<float>::make_gradient_sum(ParameterArena&, bool);
template std::unique_ptr<GradientSum> ReferenceBackend<double>::make_gradient_sum(ParameterArena&, bool);
template std::unique_ptr<Optimizer> ReferenceBackend<float>::make_optimizer(ParameterArena&,
                                                                            const StepCounter&,
                                                                            const OptimizerOptions&);
template std::unique_ptr<Optimizer> ReferenceBackend<double>::make_optimizer(ParameterArena&,
                                                                             const StepCounter&,
                                                                             const OptimizerOptions&);

}  // namespace convoy::reference
