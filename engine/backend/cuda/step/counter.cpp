#include "engine/backend/cuda/step/counter.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "kernels/metrics.h"

namespace convoy::cuda {
namespace {

class DeviceCounter final : public StepCounter {
 public:
  explicit DeviceCounter(Context& context) : context_(context), memory_(sizeof(std::int64_t)) {}

  std::int64_t* data() const { return memory_.as<std::int64_t>(); }

  void increment() override { kernels::increment_step(data(), context_.stream()); }

  std::int64_t read() const override {
    std::int64_t step = 0;
    copy_to_host(&step, data(), sizeof step, context_.stream());
    return step;
  }

  void write(std::int64_t step) override { copy_to_device(data(), &step, sizeof step, context_.stream()); }

 private:
  Context& context_;
  Buffer memory_;
};

}  // namespace

const std::int64_t* device_step(const StepCounter& counter) {
  return own<const DeviceCounter>("the step counter", counter).data();
}

std::unique_ptr<StepCounter> CudaBackend::make_counter() { return std::make_unique<DeviceCounter>(context_); }

}  // namespace convoy::cuda
