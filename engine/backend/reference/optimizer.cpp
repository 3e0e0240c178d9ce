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

// How each element of the arena is updated.
template <typename T>
class Rule {
 public:
  Rule(const Arena<T>& arena, const UpdateRule& rule) : clip_(rule.clip) {
    std::size_t i = 0;
    for (const Variable& variable : arena.variables()) {
      const ParameterGroup group = rule.groups.empty() ? ParameterGroup::decayed : rule.groups[i++];
      groups_.insert(groups_.end(), static_cast<std::size_t>(variable.value->shape().count()), group);
    }
  }

  bool updates(std::size_t i) const { return groups_[i] != ParameterGroup::orthogonalized; }
  double decay(std::size_t i, double weight_decay) const {
    return groups_[i] == ParameterGroup::decayed ? weight_decay : 0.0;
  }
  // By which gradients are multiplied.
  double factor() const {
    return clip_ ? as_real<T>("gradient clipping", clip_->result())->values()[1] : 1.0;
  }

 private:
  std::vector<ParameterGroup> groups_;
  const GradientClip* clip_;
};

template <typename T>
class Adam final : public Optimizer {
 public:
  Adam(Arena<T>& arena, const StepCounter& counter, const AdamOptions& options, const UpdateRule& rule)
      : arena_(arena),
        counter_(counter),
        options_(options),
        rule_(arena, rule),
        first_(zeros_for(arena)),
        second_(zeros_for(arena)) {
    state_ = {{"exp_avg", arena.tensors_over(first_)}, {"exp_avg_sq", arena.tensors_over(second_)}};
  }

  void step() override {
    const std::int64_t count = step_of(counter_);
    const ScheduledGroup group = group_at(counter_.rule(), count);
    const double beta1 = group.momentum, beta2 = options_.beta2, rate = group.lr;
    const double bias1 = 1.0 - std::pow(beta1, static_cast<double>(count));
    const double bias2 = 1.0 - std::pow(beta2, static_cast<double>(count));
    const auto values = arena_.values(), gradients = arena_.gradients();
    const double factor = rule_.factor();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!rule_.updates(i)) continue;
      const double decay = rule_.decay(i, options_.weight_decay);
      double value = values[i], gradient = factor * gradients[i];
      if (options_.decoupled_weight_decay) {
        value -= rate * decay * value;
      } else {
        gradient += decay * value;
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
  Rule<T> rule_;
  Memory<T> first_, second_;  // the moments
};

template <typename T>
class Sgd final : public Optimizer {
 public:
  Sgd(Arena<T>& arena, const StepCounter& counter, const SgdOptions& options, const UpdateRule& rule)
      : arena_(arena), counter_(counter), options_(options), rule_(arena, rule), buffer_(zeros_for(arena)) {
    if (options.momentum != 0.0f) state_ = {{"momentum_buffer", arena.tensors_over(buffer_)}};
  }

  void step() override {
    const auto [rate, momentum] = group_at(counter_.rule(), step_of(counter_));
    const auto values = arena_.values(), gradients = arena_.gradients();
    const double factor = rule_.factor();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!rule_.updates(i)) continue;
      const double value = values[i];
      const double gradient = factor * gradients[i] + rule_.decay(i, options_.weight_decay) * value;
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
  Rule<T> rule_;
  Memory<T> buffer_;  // of the momentum
};

// torch.nn.utils.clip_grad_norm_: the norm of all gradients as of one vector.
template <typename T>
class Clip final : public GradientClip {
 public:
  Clip(Arena<T>& arena, double max_norm) : arena_(arena), max_norm_(max_norm) {
    result_ = std::make_shared<RealTensor<T>>(Shape{2});
  }

  void measure() override {
    double squares = 0.0;
    for (const double gradient : arena_.gradients()) squares += gradient * gradient;
    const double norm = std::sqrt(squares), coefficient = max_norm_ / (norm + 1e-6);
    const auto result = as_real<T>("gradient clipping", result_)->values();
    result[0] = static_cast<T>(norm);
    result[1] = static_cast<T>(coefficient > 1.0 ? 1.0 : coefficient);  // NaN stays, as of torch.clamp
  }

 private:
  Arena<T>& arena_;
  double max_norm_;
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

double scheduled_rate(const StepCounter& counter) { return group_at(counter.rule(), step_of(counter)).lr; }

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
                                                               const OptimizerOptions& options,
                                                               const UpdateRule& rule) {
  check_optimizer(options);
  auto& arena = own<Arena<T>>("optimizer: the parameters", parameters);
  if (!arena.with_gradients()) throw UsageError("optimizer: the parameters were made without gradients");
  check_step_rule(counter.rule(), options);
  check_groups(rule.groups, arena);
  if (const auto* sgd = std::get_if<SgdOptions>(&options))
    return std::make_unique<Sgd<T>>(arena, counter, *sgd, rule);
  return std::make_unique<Adam<T>>(arena, counter, std::get<AdamOptions>(options), rule);
}

template <typename T>
std::unique_ptr<GradientClip> ReferenceBackend<T>::make_gradient_clip(ParameterArena& parameters,
                                                                      float max_norm) {
  check_clip_norm(max_norm);
  auto& arena = own<Arena<T>>("gradient clipping: the parameters", parameters);
  if (!arena.with_gradients())
    throw UsageError("gradient clipping: the parameters were made without gradients");
  return std::make_unique<Clip<T>>(arena, max_norm);
}

template std::unique_ptr<ParameterAverage> ReferenceBackend<float>::make_average(ParameterArena&);
template std::unique_ptr<ParameterAverage> ReferenceBackend<double>::make_average(ParameterArena&);
template std::unique_ptr<GradientSum> ReferenceBackend<float>::make_gradient_sum(ParameterArena&, bool);
template std::unique_ptr<GradientSum> ReferenceBackend<double>::make_gradient_sum(ParameterArena&, bool);
template std::unique_ptr<Optimizer> ReferenceBackend<float>::make_optimizer(ParameterArena&,
                                                                            const StepCounter&,
                                                                            const OptimizerOptions&,
                                                                            const UpdateRule&);
template std::unique_ptr<Optimizer> ReferenceBackend<double>::make_optimizer(ParameterArena&,
                                                                             const StepCounter&,
                                                                             const OptimizerOptions&,
                                                                             const UpdateRule&);
template std::unique_ptr<GradientClip> ReferenceBackend<float>::make_gradient_clip(ParameterArena&, float);
template std::unique_ptr<GradientClip> ReferenceBackend<double>::make_gradient_clip(ParameterArena&, float);

}  // namespace convoy::reference
