// Copies of a training's state that the host reads on a stream of its own.
#include <cuda_runtime_api.h>

#include <cstring>

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/event.h"
#include "engine/backend/cuda/step/counter.h"
#include "engine/backend/cuda/step/metrics.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

/// A buffer beside the originals takes the copies in the step's stream. Another stream brings that buffer to
/// the host, so that waiting for it waits for no step.
class DeviceStager final : public Stager {
 public:
  DeviceStager(Context& context, const StagerSources& sources) : context_(context) {
    for (const TensorPtr& tensor : sources.tensors) {
      const auto copied = std::make_shared<DeviceTensor>(
          tensor->shape(), own<const DeviceTensor>("the tensor staged", *tensor));
      tensors_.push_back(copied);
      add(copied->data(), copied->bytes());
    }
    add(device_scalars(sources.counter), sizeof(StepScalars));
    add(device_metrics(sources.metrics), sizeof(kernels::LossMetrics));
    const Source& last = sources_.back();
    memory_ = Buffer(last.offset + last.bytes);
    CONVOY_CUDA(cudaGetDevice(&device_));
  }

  void stage() override {
    for (const Source& source : sources_) {
      CONVOY_CUDA(cudaMemcpyAsync(memory_.as<std::byte>() + source.offset, source.data, source.bytes,
                                  cudaMemcpyDeviceToDevice, context_.stream()));
    }
    CONVOY_CUDA(cudaEventRecord(staged_.get(), context_.stream()));
  }

  StagedValues read() override {
    CONVOY_CUDA(cudaSetDevice(device_));  // a new thread begins with the first
    CONVOY_CUDA(cudaStreamWaitEvent(stream_.get(), staged_.get(), 0));
    std::vector<std::byte> host(memory_.bytes());
    copy_to_host(host.data(), memory_.data(), host.size(), stream_.get());

    StagedValues values;
    auto source = sources_.begin();
    for (const auto& tensor : tensors_) values.tensors.push_back(tensor->values(&host[(source++)->offset]));
    StepScalars scalars;
    std::memcpy(&scalars, &host[(source++)->offset], sizeof scalars);
    values.step = scalars.step;
    kernels::LossMetrics metrics{};
    std::memcpy(&metrics, &host[source->offset], sizeof metrics);
    values.metrics = reading_of(metrics);
    return values;
  }

 private:
  struct Source {
    const void* data;
    std::size_t bytes;
    std::size_t offset;  // of the copy
  };

  void add(const void* data, std::size_t bytes) {
    constexpr std::size_t kAlignment = 256;  // of the fastest copies
    std::size_t offset = 0;
    if (!sources_.empty()) {
      const Source& last = sources_.back();
      offset = (last.offset + last.bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    sources_.push_back({data, bytes, offset});
  }

  Context& context_;
  std::vector<std::shared_ptr<const DeviceTensor>> tensors_;  // views, which keep the memory
  std::vector<Source> sources_;                               // of the tensors, the counter, the metrics
  Buffer memory_;
  Event staged_ = make_event();
  Stream stream_ = make_own_stream();
  int device_ = 0;
};

}  // namespace

std::unique_ptr<Stager> CudaBackend::make_stager(StagerSources sources) {
  return std::make_unique<DeviceStager>(context_, sources);
}

}  // namespace convoy::cuda
