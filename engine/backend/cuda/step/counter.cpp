#include "engine/backend/cuda/step/counter.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "kernels/metrics.h"
#include "kernels/schedule_math.h"

namespace convoy::cuda {
namespace {

class DeviceCounter final : public StepCounter {
 public:
  DeviceCounter(Context& context, const StepRule& rule)
      : StepCounter(rule), context_(context), memory_(sizeof(StepScalars)) {}

  StepScalars* data() const { return memory_.as<StepScalars>(); }

  void advance() override { kernels::advance_step(data(), rule(), context_.stream()); }

  StepScalars scalars() const override {
    StepScalars scalars;
    copy_to_host(&scalars, data(), sizeof scalars, context_.stream());
    return scalars;
  }

  void write(std::int64_t step) override {
    const StepScalars scalars = step < 1 ? StepScalars{.step = step} : step_scalars(rule(), step);
    copy_to_device(data(), &scalars, sizeof scalars, context_.stream());
  }

 private:
  Context& context_;
  Buffer memory_;
};

}  // namespace

const StepScalars* device_scalars(const StepCounter& counter) {
  return own<const DeviceCounter>("the step counter", counter).data();
}

StepScalars* device_scalars(StepCounter& counter) {
  return own<DeviceCounter>("the step counter", counter).data();
}

const std::int64_t* device_step(const StepCounter& counter) { return &device_scalars(counter)->step; }

std::unique_ptr<StepCounter> CudaBackend::make_counter(const StepRule& rule) {
  check_schedule(rule.schedule);
  return std::make_unique<DeviceCounter>(context_, rule);
}

}  // namespace convoy::cuda
