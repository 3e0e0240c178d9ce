// The optimizers: one launch updates the whole arena, and its bf16 copies if there are any.
#include "kernels/optimizer.h"

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/backend/cuda/step/counter.h"

namespace convoy::cuda {
namespace {

std::shared_ptr<const Buffer> zeros_for(const DeviceParameters& parameters) {
  return std::make_shared<const Buffer>(static_cast<std::size_t>(parameters.count()) * sizeof(float));
}

class DeviceAdam final : public Optimizer {
 public:
  DeviceAdam(Context& context, const DeviceParameters& parameters, const StepScalars* scalars,
             const AdamOptions& options)
      : context_(context),
        parameters_(parameters),
        scalars_(scalars),
        options_(options),
        first_moments_(zeros_for(parameters)),
        second_moments_(zeros_for(parameters)) {
    state_ = {{"exp_avg", parameters.tensors_over(first_moments_)},
              {"exp_avg_sq", parameters.tensors_over(second_moments_)}};
  }

  void step() override {
    kernels::adam_step({.parameters = parameters_.values(),
                        .gradients = parameters_.gradients(),
                        .first_moments = first_moments_->as<float>(),
                        .second_moments = second_moments_->as<float>(),
                        .copies = parameters_.copies(),
                        .count = parameters_.count()},
                       options_, scalars_, context_.stream());
  }

 private:
  Context& context_;
  const DeviceParameters& parameters_;
  const StepScalars* scalars_;
  AdamOptions options_;
  std::shared_ptr<const Buffer> first_moments_;
  std::shared_ptr<const Buffer> second_moments_;
};

class DeviceSgd final : public Optimizer {
 public:
  DeviceSgd(Context& context, const DeviceParameters& parameters, const StepScalars* scalars,
            const SgdOptions& options)
      : context_(context), parameters_(parameters), scalars_(scalars), options_(options) {
    if (options.momentum == 0.0f) return;
    momentum_ = zeros_for(parameters);
    state_ = {{"momentum_buffer", parameters.tensors_over(momentum_)}};
  }

  void step() override {
    kernels::sgd_step({.parameters = parameters_.values(),
                       .gradients = parameters_.gradients(),
                       .momentum = momentum_ ? momentum_->as<float>() : nullptr,
                       .copies = parameters_.copies(),
                       .count = parameters_.count()},
                      options_, scalars_, context_.stream());
  }

 private:
  Context& context_;
  const DeviceParameters& parameters_;
  const StepScalars* scalars_;
  SgdOptions options_;
  std::shared_ptr<const Buffer> momentum_;  // null without a momentum
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
                                                       const OptimizerOptions& options) {
  check_optimizer(options);
  const auto& arena = own<DeviceParameters>("optimizer: the parameters", parameters);
  if (!arena.gradients()) throw UsageError("optimizer: the parameters were made without gradients");
  check_step_rule(counter.rule(), options);
  const StepScalars* const scalars = device_scalars(counter);
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) {
    return std::make_unique<DeviceSgd>(context_, arena, scalars, *sgd);
  }
  return std::make_unique<DeviceAdam>(context_, arena, scalars, std::get<AdamOptions>(options));
}

}  // namespace convoy::cuda
