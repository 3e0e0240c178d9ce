// The gradients of a group: a call of NCCL for each bucket, on a stream of its own beside the backward pass.
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/event.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

class DeviceGradientSum final : public GradientSum {
 public:
  DeviceGradientSum(Context& context, DeviceParameters& parameters, bool contributes)
      : context_(context), parameters_(parameters), contributes_(contributes) {}

  void start(std::size_t first, std::size_t last) override {
    if (first >= last) return;
    float* const begin = gradient(first);
    const std::int64_t count = gradient(last - 1) + shape(last - 1).count() - begin;
    if (!contributes_) {
      const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
      CONVOY_CUDA(cudaMemsetAsync(begin, 0, bytes, context_.stream()));
    }
    order(context_.stream(), context_.group_stream());
    context_.devices().sum(begin, count, context_.group_stream());
  }

  void finish() override { order(context_.group_stream(), context_.stream()); }

 private:
  /// What `later` is given from now on waits for all that `earlier` was given. Captured, it is an edge of the
  /// graph.
  void order(cudaStream_t earlier, cudaStream_t later) const {
    CONVOY_CUDA(cudaEventRecord(passed_.get(), earlier));
    CONVOY_CUDA(cudaStreamWaitEvent(later, passed_.get(), 0));
  }

  float* gradient(std::size_t parameter) const {
    return static_cast<float*>(device(parameters_.variables()[parameter].grad).data());
  }
  const Shape& shape(std::size_t parameter) const {
    return parameters_.variables()[parameter].value->shape();
  }

  Context& context_;
  DeviceParameters& parameters_;
  bool contributes_;
  Event passed_ = make_event();
};

}  // namespace

std::unique_ptr<GradientSum> CudaBackend::make_gradient_sum(ParameterArena& parameters, bool contributes) {
  auto& arena = own<DeviceParameters>("the sum of gradients: the parameters", parameters);
  if (!arena.gradients()) throw UsageError("the sum of gradients: the parameters were made without");
  return std::make_unique<DeviceGradientSum>(context_, arena, contributes);
}

}  // namespace convoy::cuda
