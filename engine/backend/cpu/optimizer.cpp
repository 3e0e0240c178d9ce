// The optimizers over the whole arena in one loop. Bound by memory: Adam
// reads 16 and writes 12 bytes a parameter. The gaps between parameters are zero and stay zero.
//
// Options are private to a thread, or the compiler takes a store for a change of them and does not vectorise.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/host_backend.h"
#include "kernels/adam_math.h"
#include "kernels/sgd_math.h"

namespace convoy::cpu {
namespace {

class Adam final : public Optimizer {
 public:
  Adam(CpuParameters& arena, const StepCounter& counter, const AdamOptions& options)
      : arena_(arena),
        counter_(counter),
        options_(options),
        first_(arena.values().size_bytes()),
        second_(arena.values().size_bytes()) {}

  void step() override {
    const std::int64_t step = counter_.read();
    if (step < 1) throw Error("Adam: the step counter must be 1 at the first update");
    const AdamOptions options = options_;
    const AdamFactors factors = adam_factors(options, step);
    const auto count = static_cast<std::int64_t>(arena_.values().size());
    float* const parameters = arena_.values().data();
    const float* const gradients = arena_.gradients().data();
    auto* const first = static_cast<float*>(first_.data());
    auto* const second = static_cast<float*>(second_.data());
#pragma omp parallel for simd schedule(static) firstprivate(options) if (count >= kParallelFrom)
    for (std::int64_t i = 0; i < count; ++i) {
      parameters[i] = adam_update(parameters[i], gradients[i], first[i], second[i], factors, options);
    }
  }

 private:
  CpuParameters& arena_;
  const StepCounter& counter_;
  const AdamOptions options_;
  Buffer first_, second_;  // the moments, in the arena's order
};

class Sgd final : public Optimizer {
 public:
  Sgd(CpuParameters& arena, const SgdOptions& options)
      : arena_(arena),
        options_(options),
        momentum_(options.momentum != 0.0f ? arena.values().size_bytes() : 0) {}

  void step() override {
    const SgdOptions options = options_;
    const auto count = static_cast<std::int64_t>(arena_.values().size());
    float* const parameters = arena_.values().data();
    const float* const gradients = arena_.gradients().data();
    if (options.momentum == 0.0f) {
#pragma omp parallel for simd schedule(static) firstprivate(options) if (count >= kParallelFrom)
      for (std::int64_t i = 0; i < count; ++i) {
        float none = 0.0f;
        parameters[i] = sgd_update(parameters[i], gradients[i], none, options);
      }
      return;
    }
    auto* const momentum = static_cast<float*>(momentum_.data());
#pragma omp parallel for simd schedule(static) firstprivate(options) if (count >= kParallelFrom)
    for (std::int64_t i = 0; i < count; ++i) {
      parameters[i] = sgd_update(parameters[i], gradients[i], momentum[i], options);
    }
  }

 private:
  CpuParameters& arena_;
  const SgdOptions options_;
  Buffer momentum_;  // in the arena's order; nothing without a momentum
};

}  // namespace

std::unique_ptr<Optimizer> CpuBackend::make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                                      const OptimizerOptions& options) {
  check_optimizer(options);
  auto& arena = own<CpuParameters>("optimizer: the parameters", parameters);
  if (arena.gradients().empty()) throw UsageError("optimizer: the parameters were made without gradients");
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) return std::make_unique<Sgd>(arena, *sgd);
  return std::make_unique<Adam>(arena, counter, std::get<AdamOptions>(options));
}

}  // namespace convoy::cpu
