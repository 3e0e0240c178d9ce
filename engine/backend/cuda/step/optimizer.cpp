// The optimizers: one launch updates the whole arena, and its bf16 copies if there are any.
#include "kernels/optimizer.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/backend/cuda/step/counter.h"
#include "engine/core/error.h"

namespace convoy::cuda {
namespace {

std::size_t arena_bytes(const DeviceParameters& parameters) {
  return static_cast<std::size_t>(parameters.count()) * sizeof(float);
}

class DeviceAdam final : public Optimizer {
 public:
  DeviceAdam(Context& context, const DeviceParameters& parameters, const std::int64_t* step,
             const AdamOptions& options)
      : context_(context),
        parameters_(parameters),
        step_(step),
        options_(options),
        first_moments_(arena_bytes(parameters)),
        second_moments_(arena_bytes(parameters)) {}

  void step() override {
    kernels::adam_step({.parameters = parameters_.values(),
                        .gradients = parameters_.gradients(),
                        .first_moments = first_moments_.as<float>(),
                        .second_moments = second_moments_.as<float>(),
                        .copies = parameters_.copies(),
                        .count = parameters_.count()},
                       options_, step_, context_.stream());
  }

 private:
  Context& context_;
  const DeviceParameters& parameters_;
  const std::int64_t* step_;
  AdamOptions options_;
  Buffer first_moments_;
  Buffer second_moments_;
};

class DeviceSgd final : public Optimizer {
 public:
  DeviceSgd(Context& context, const DeviceParameters& parameters, const SgdOptions& options)
      : context_(context), parameters_(parameters), options_(options) {
    if (options.momentum != 0.0f) momentum_ = Buffer(arena_bytes(parameters));
  }

  void step() override {
    kernels::sgd_step({.parameters = parameters_.values(),
                       .gradients = parameters_.gradients(),
                       .momentum = momentum_.as<float>(),
                       .copies = parameters_.copies(),
                       .count = parameters_.count()},
                      options_, context_.stream());
  }

 private:
  Context& context_;
  const DeviceParameters& parameters_;
  SgdOptions options_;
  Buffer momentum_;  // null without a momentum
};

}  // namespace

std::unique_ptr<Optimizer> CudaBackend::make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                                       const OptimizerOptions& options) {
  check_optimizer(options);
  const auto& arena = own<DeviceParameters>("optimizer: the parameters", parameters);
  if (!arena.gradients()) throw UsageError("optimizer: the parameters were made without gradients");
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) {
    return std::make_unique<DeviceSgd>(context_, arena, *sgd);
  }
  return std::make_unique<DeviceAdam>(context_, arena, device_step(counter), std::get<AdamOptions>(options));
}

}  // namespace convoy::cuda
