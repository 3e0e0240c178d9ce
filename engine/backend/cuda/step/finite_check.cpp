// The search for the first NaN, on the device.
#include "kernels/finite.h"

#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/step/counter.h"

namespace convoy::cuda {
namespace {

class DeviceFiniteCheck final : public FiniteCheck {
 public:
  DeviceFiniteCheck(Context& context, const std::int64_t* step)
      : context_(context), step_(step), report_(sizeof(kernels::FiniteReport)) {
    forget();
  }

  void look(const Tensor& tensor, std::int32_t part) override {
    const DeviceTensor& values = device(tensor);
    kernels::check_finite({.values = values.data(),
                           .dtype = values.dtype(),
                           .count = values.shape().count(),
                           .operation = part,
                           .step = step_,
                           .report = report_.as<kernels::FiniteReport>()},
                          context_.stream());
  }

  std::optional<NonFinite> read() const override {
    kernels::FiniteReport report{};
    copy_to_host(&report, report_.data(), sizeof report, context_.stream());
    if (report.operation == kernels::kAllFinite) return std::nullopt;
    return NonFinite{report.operation, report.step};
  }

  void reset() override { forget(); }

 private:
  void forget() { kernels::reset_finite_report(report_.as<kernels::FiniteReport>(), context_.stream()); }

  Context& context_;
  const std::int64_t* step_;
  Buffer report_;
};

}  // namespace

std::unique_ptr<FiniteCheck> CudaBackend::make_finite_check(const StepCounter& counter) {
  return std::make_unique<DeviceFiniteCheck>(context_, device_step(counter));
}

}  // namespace convoy::cuda
