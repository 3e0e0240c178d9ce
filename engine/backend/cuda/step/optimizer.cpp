// The optimizers: one launch updates the whole arena, and its bf16 copies if there are any.
#include "kernels/optimizer.h"

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/backend/cuda/step/counter.h"
#include "engine/backend/cuda/step/gradient_clip.h"
#include "engine/backend/cuda/step/group_table.h"

namespace convoy::cuda {
namespace {

std::shared_ptr<const Buffer> zeros_for(const DeviceParameters& parameters) {
  return std::make_shared<const Buffer>(static_cast<std::size_t>(parameters.count()) * sizeof(float));
}

// What both have: the arena that they update, and state beside it.
class ArenaOptimizer : public Optimizer {
 protected:
  ArenaOptimizer(Context& context, const DeviceParameters& parameters, const StepScalars* scalars,
                 const UpdateRule& rule)
      : context_(context),
        parameters_(parameters),
        scalars_(scalars),
        groups_(parameters, rule.groups, context.stream()),
        gradient_factor_(gradient_factor(rule.clip)) {}

  // Zeros, one for each element of the arena.
  float* add_state(const char* name) {
    memory_.push_back(zeros_for(parameters_));
    state_.push_back({name, parameters_.tensors_over(memory_.back())});
    return memory_.back()->as<float>();
  }

  Context& context_;
  const DeviceParameters& parameters_;
  const StepScalars* scalars_;
  GroupTable groups_;
  const float* gradient_factor_;  // null without clipping

 private:
  std::vector<std::shared_ptr<const Buffer>> memory_;
};

class DeviceAdam final : public ArenaOptimizer {
 public:
  DeviceAdam(Context& context, const DeviceParameters& parameters, const StepScalars* scalars,
             const AdamOptions& options, const UpdateRule& rule)
      : ArenaOptimizer(context, parameters, scalars, rule), options_(options) {}

  void step() override {
    kernels::adam_step({.parameters = parameters_.values(),
                        .gradients = parameters_.gradients(),
                        .first_moments = first_moments_,
                        .second_moments = second_moments_,
                        .copies = parameters_.copies(),
                        .count = parameters_.count(),
                        .groups = groups_.data(),
                        .gradient_factor = gradient_factor_},
                       options_, scalars_, context_.stream());
  }

 private:
  AdamOptions options_;
  float* first_moments_ = add_state("exp_avg");
  float* second_moments_ = add_state("exp_avg_sq");
};

class DeviceSgd final : public ArenaOptimizer {
 public:
  DeviceSgd(Context& context, const DeviceParameters& parameters, const StepScalars* scalars,
            const SgdOptions& options, const UpdateRule& rule)
      : ArenaOptimizer(context, parameters, scalars, rule),
        options_(options),
        momentum_(options.momentum == 0.0f ? nullptr : add_state("momentum_buffer")) {}

  void step() override {
    kernels::sgd_step({.parameters = parameters_.values(),
                       .gradients = parameters_.gradients(),
                       .momentum = momentum_,
                       .copies = parameters_.copies(),
                       .count = parameters_.count(),
                       .groups = groups_.data(),
                       .gradient_factor = gradient_factor_},
                      options_, scalars_, context_.stream());
  }

 private:
  SgdOptions options_;
  float* momentum_;
};

class DeviceAverage final : public ParameterAverage {
 public:
  DeviceAverage(Context& context, const DeviceParameters& parameters)
      : context_(context), memory_(zeros_for(parameters)) {
    arenas_ = {.means = memory_->as<float>(),
               .parameters = parameters.values(),
               .copies = parameters.copies(),
               .count = parameters.count()};
    means_ = parameters.tensors_over(memory_);
  }

 private:
  void add_sample(std::int64_t count) override { kernels::average_add(arenas_, count, context_.stream()); }
  void store_means() override { kernels::average_store(arenas_, context_.stream()); }

  Context& context_;
  std::shared_ptr<const Buffer> memory_;
  kernels::AverageArenas arenas_;
};

}  // namespace

std::unique_ptr<ParameterAverage> CudaBackend::make_average(ParameterArena& parameters) {
  return std::make_unique<DeviceAverage>(context_,
                                         own<DeviceParameters>("average: the parameters", parameters));
}

std::unique_ptr<Optimizer> CudaBackend::make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                                       const OptimizerOptions& options,
                                                       const UpdateRule& rule) {
  check_optimizer(options);
  const auto& arena = own<DeviceParameters>("optimizer: the parameters", parameters);
  if (!arena.gradients()) throw UsageError("optimizer: the parameters were made without gradients");
  check_step_rule(counter.rule(), options);
  check_groups(rule.groups, arena);
  const StepScalars* const scalars = device_scalars(counter);
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) {
    return std::make_unique<DeviceSgd>(context_, arena, scalars, *sgd, rule);
  }
  return std::make_unique<DeviceAdam>(context_, arena, scalars, std::get<AdamOptions>(options), rule);
}

}  // namespace convoy::cuda
