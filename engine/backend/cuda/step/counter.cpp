#include "engine/backend/cuda/step/counter.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/core/step_table.h"
#include "kernels/metrics.h"
#include "kernels/schedule_math.h"

namespace convoy::cuda {
namespace {

class DeviceCounter final : public StepCounter {
 public:
  DeviceCounter(Context& context, const StepRule& rule)
      : StepCounter(rule), context_(context), memory_(sizeof(StepScalars)), table_(sizeof(StepTable)) {
    DeviceCounter::follow(step_table(rule));
  }

  StepScalars* data() const { return memory_.as<StepScalars>(); }
  const StepTable* table() const { return table_.as<StepTable>(); }

  void advance() override { kernels::advance_step(data(), table(), context_.stream()); }

  StepScalars scalars() const override {
    StepScalars scalars;
    copy_to_host(&scalars, data(), sizeof scalars, context_.stream());
    return scalars;
  }

  void write(std::int64_t step) override {
    const StepScalars scalars = step < 1 ? StepScalars{.step = step} : step_scalars(step_table(rule()), step);
    copy_to_device(data(), &scalars, sizeof scalars, context_.stream());
  }

 private:
  void follow(const StepTable& table) override {
    copy_to_device(table_.data(), &table, sizeof table, context_.stream());
  }

  Context& context_;
  Buffer memory_;
  Buffer table_;  // where a recorded step finds the rule of the day
};

}  // namespace

const StepScalars* device_scalars(const StepCounter& counter) {
  return own<const DeviceCounter>("the step counter", counter).data();
}

StepScalars* device_scalars(StepCounter& counter) {
  return own<DeviceCounter>("the step counter", counter).data();
}

const StepTable* device_table(const StepCounter& counter) {
  return own<const DeviceCounter>("the step counter", counter).table();
}

const std::int64_t* device_step(const StepCounter& counter) { return &device_scalars(counter)->step; }

std::unique_ptr<StepCounter> CudaBackend::make_counter(const StepRule& rule) {
  return std::make_unique<DeviceCounter>(context_, rule);
}

}  // namespace convoy::cuda
