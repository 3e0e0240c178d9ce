#include "engine/backend/cuda/step/gradient_clip.h"

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "kernels/gradient_norm.h"

namespace convoy::cuda {
namespace {

class DeviceGradientClip final : public GradientClip {
 public:
  DeviceGradientClip(Context& context, const DeviceParameters& parameters, float max_norm)
      : context_(context),
        partials_(kernels::kNormBlocks * sizeof(double)),
        arrived_(sizeof(unsigned)),
        tensor_(context.make_tensor({2}, DType::float32)) {
    result_ = tensor_;
    norm_ = {.gradients = parameters.gradients(),
             .count = parameters.count(),
             .max_norm = max_norm,
             .partials = partials_.as<double>(),
             .arrived = arrived_.as<unsigned>(),
             .result = static_cast<ClippedNorm*>(tensor_->data())};
  }

  void measure() override { kernels::measure_gradient_norm(norm_, context_.stream()); }
  const float* factor() const { return &norm_.result->factor; }

 private:
  Context& context_;
  Buffer partials_;
  Buffer arrived_;
  std::shared_ptr<DeviceTensor> tensor_;
  kernels::GradientNorm norm_;
};

}  // namespace

const float* gradient_factor(const GradientClip* clip) {
  return clip ? own<const DeviceGradientClip>("gradient clipping", *clip).factor() : nullptr;
}

std::unique_ptr<GradientClip> CudaBackend::make_gradient_clip(ParameterArena& parameters, float max_norm) {
  check_clip_norm(max_norm);
  const auto& arena = own<DeviceParameters>("gradient clipping: the parameters", parameters);
  if (!arena.gradients()) throw UsageError("gradient clipping: the parameters were made without gradients");
  return std::make_unique<DeviceGradientClip>(context_, arena, max_norm);
}

}  // namespace convoy::cuda
