// The exponential moving average of weights and running statistics.
#include "kernels/moving_average.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/backend/cuda/step/counter.h"

namespace convoy::cuda {
namespace {

class DeviceMovingAverage final : public MovingAverage {
 public:
  DeviceMovingAverage(Context& context, const DeviceParameters& parameters,
                      const DeviceParameters& statistics, const StepCounter& counter, double decay)
      : context_(context), begun_memory_(sizeof(std::int64_t)) {
    arenas_ = {.parameters = add(parameters, parameters.copies()),
               .statistics = add(statistics, nullptr),  // nothing reads these in bf16
               .weight = static_cast<float>(1.0 - decay),
               .step = device_step(counter),
               .begun = begun_memory_.as<const std::int64_t>()};
  }

  void update() override { kernels::moving_average_update(arenas_, context_.stream()); }
  void swap() override { kernels::moving_average_swap(arenas_, context_.stream()); }

  void begin_behind(std::int64_t step) override {
    begun_ = step;
    copy_to_device(begun_memory_.data(), &begun_, sizeof begun_, context_.stream());
  }

 private:
  kernels::AveragedArena add(const DeviceParameters& arena, __nv_bfloat16* copies) {
    if (arena.variables().empty()) return {};
    memories_.push_back(
        std::make_shared<const Buffer>(static_cast<std::size_t>(arena.count()) * sizeof(float)));
    for (const TensorPtr& tensor : arena.tensors_over(memories_.back())) means_.push_back(tensor);
    return {memories_.back()->as<float>(), arena.values(), copies, arena.count()};
  }

  Context& context_;
  Buffer begun_memory_;
  std::vector<std::shared_ptr<const Buffer>> memories_;
  kernels::MovingAverageArenas arenas_;
};

}  // namespace

std::unique_ptr<MovingAverage> CudaBackend::make_moving_average(ParameterArena& parameters,
                                                                ParameterArena& statistics,
                                                                const StepCounter& counter, double decay) {
  check_ema_decay(decay);
  return std::make_unique<DeviceMovingAverage>(
      context_, own<DeviceParameters>("moving average: the parameters", parameters),
      own<DeviceParameters>("moving average: the statistics", statistics), counter, decay);
}

}  // namespace convoy::cuda
