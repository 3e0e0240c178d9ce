// The optimizers over the whole arena in one loop (optimizer_loops.h). The gaps between parameters are zero
// and stay zero.
#include <cstring>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/gradient_clip.h"
#include "engine/backend/cpu/group_ranges.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/optimizer_loops.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/host_backend.h"

namespace convoy::cpu {
namespace {

std::shared_ptr<Buffer> zeros_for(const CpuParameters& arena) {
  return std::make_shared<Buffer>(arena.values().size_bytes());
}

StepScalars scalars_of(const StepCounter& counter) {
  const StepScalars scalars = counter.scalars();
  if (scalars.step < 1) throw Error("optimizer: the step counter must be 1 at the first update");
  return scalars;
}

template <typename Options>
Options options_of(Options options, ParameterGroup group) {
  if (group == ParameterGroup::undecayed) options.weight_decay = 0.0f;
  return options;
}

class Adam final : public Optimizer {
 public:
  Adam(CpuParameters& arena, const StepCounter& counter, const AdamOptions& options, const UpdateRule& rule)
      : arena_(arena),
        counter_(counter),
        options_(options),
        ranges_(arena, rule.groups),
        clip_(rule.clip),
        first_(zeros_for(arena)),
        second_(zeros_for(arena)) {
    state_ = {{"exp_avg", arena.tensors_over(first_)}, {"exp_avg_sq", arena.tensors_over(second_)}};
  }

  void step() override {
    const StepScalars scalars = scalars_of(counter_);
    auto* const first = static_cast<float*>(first_->data());
    auto* const second = static_cast<float*>(second_->data());
    const float factor = gradient_factor(clip_);
    const auto update = [&](std::int64_t begin, std::int64_t end, ParameterGroup group) {
      if (group == ParameterGroup::orthogonalized) return;
      update_by_adam({.parameters = arena_.values().data() + begin,
                      .gradients = arena_.gradients().data() + begin,
                      .first = first + begin,
                      .second = second + begin,
                      .count = end - begin,
                      .gradient_factor = factor},
                     scalars, options_of(options_, group));
    };
    in_parallel(std::ssize(arena_.values()),
                [&](std::int64_t begin, std::int64_t end) { ranges_.for_each(begin, end, update); });
  }

 private:
  CpuParameters& arena_;
  const StepCounter& counter_;
  const AdamOptions options_;
  const GroupRanges ranges_;
  const GradientClip* const clip_;
  std::shared_ptr<Buffer> first_, second_;  // the moments, in the arena's order
};

class Sgd final : public Optimizer {
 public:
  Sgd(CpuParameters& arena, const StepCounter& counter, const SgdOptions& options, const UpdateRule& rule)
      : arena_(arena), counter_(counter), options_(options), ranges_(arena, rule.groups), clip_(rule.clip) {
    if (options.momentum == 0.0f) return;
    momentum_ = zeros_for(arena);
    state_ = {{"momentum_buffer", arena.tensors_over(momentum_)}};
  }

  void step() override {
    const StepScalars scalars = scalars_of(counter_);
    auto* const momentum = momentum_ ? static_cast<float*>(momentum_->data()) : nullptr;
    const float factor = gradient_factor(clip_);
    const auto update = [&](std::int64_t begin, std::int64_t end, ParameterGroup group) {
      if (group == ParameterGroup::orthogonalized) return;
      update_by_sgd({.parameters = arena_.values().data() + begin,
                     .gradients = arena_.gradients().data() + begin,
                     .momentum = momentum ? momentum + begin : nullptr,
                     .count = end - begin,
                     .gradient_factor = factor},
                    scalars, options_of(options_, group));
    };
    in_parallel(std::ssize(arena_.values()),
                [&](std::int64_t begin, std::int64_t end) { ranges_.for_each(begin, end, update); });
  }

 private:
  CpuParameters& arena_;
  const StepCounter& counter_;
  const SgdOptions options_;
  const GroupRanges ranges_;
  const GradientClip* const clip_;
  std::shared_ptr<Buffer> momentum_;  // in the arena's order; null without a momentum
};

class Average final : public ParameterAverage {
 public:
  explicit Average(CpuParameters& arena) : arena_(arena), memory_(zeros_for(arena)) {
    means_ = arena.tensors_over(memory_);
  }

 private:
  void add_sample(std::int64_t count) override {
    const auto samples = static_cast<float>(count);
    auto* const means = static_cast<float*>(memory_->data());
    in_parallel(std::ssize(arena_.values()), [&](std::int64_t begin, std::int64_t end) {
      average(arena_.values().data() + begin, means + begin, end - begin, samples);
    });
  }

  void store_means() override {
    std::memcpy(arena_.values().data(), memory_->data(), arena_.values().size_bytes());
  }

  CpuParameters& arena_;
  std::shared_ptr<Buffer> memory_;
};

}  // namespace

std::unique_ptr<ParameterAverage> CpuBackend::make_average(ParameterArena& parameters) {
  return std::make_unique<Average>(own<CpuParameters>("average: the parameters", parameters));
}

std::unique_ptr<GradientSum> CpuBackend::make_gradient_sum(ParameterArena& parameters, bool contributes) {
  auto& arena = own<CpuParameters>("the sum of gradients: the parameters", parameters);
  if (arena.gradients().empty()) throw UsageError("the sum of gradients: the parameters were made without");
  std::vector<std::span<float>> parts;
  for (const Variable& variable : arena.variables()) {
    parts.push_back(as_floats("the sum of gradients", variable.grad)->floats());
  }
  return std::make_unique<HostGradientSum<float>>(group(), std::move(parts), contributes);
}

std::unique_ptr<Optimizer> CpuBackend::make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                                      const OptimizerOptions& options,
                                                      const UpdateRule& rule) {
  check_optimizer(options);
  auto& arena = own<CpuParameters>("optimizer: the parameters", parameters);
  if (arena.gradients().empty()) throw UsageError("optimizer: the parameters were made without gradients");
  check_step_rule(counter.rule(), options);
  check_groups(rule.groups, arena);
  if (const auto* sgd = std::get_if<SgdOptions>(&options))
    return std::make_unique<Sgd>(arena, counter, *sgd, rule);
  return std::make_unique<Adam>(arena, counter, std::get<AdamOptions>(options), rule);
}

}  // namespace convoy::cpu
