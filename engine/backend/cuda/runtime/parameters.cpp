#include "engine/backend/cuda/runtime/parameters.h"

#include <cuda_bf16.h>

#include "engine/backend/cuda/cuda_backend.h"

namespace convoy::cuda {
namespace {

// Elements: 16 bytes in bf16, 32 in fp32, so that both views of a parameter are aligned.
constexpr std::int64_t kAlignment = 8;

}  // namespace

ParameterTensor::ParameterTensor(const Shape& shape, std::shared_ptr<const Buffer> values,
                                 std::int64_t offset, std::shared_ptr<const Buffer> copies)
    : DeviceTensor(shape, DType::float32, std::move(values),
                   static_cast<std::size_t>(offset) * sizeof(float)) {
  if (!copies) return;
  copy_ = std::make_unique<DeviceTensor>(shape, DType::bfloat16, std::move(copies),
                                         static_cast<std::size_t>(offset) * sizeof(__nv_bfloat16));
}

void ParameterTensor::write(std::span<const double> values, cudaStream_t stream) {
  DeviceTensor::write(values, stream);
  if (copy_) copy_->write(values, stream);
}

DeviceTensor& compute_copy(const TensorPtr& parameter) {
  if (auto* own = dynamic_cast<ParameterTensor*>(parameter.get())) return own->compute_copy();
  return device(parameter);
}

DeviceParameters::DeviceParameters(const Context& context, std::span<const Shape> shapes,
                                   bool with_gradients) {
  for (const Shape& shape : shapes) {
    offsets_.push_back(count_);
    count_ += (shape.count() + kAlignment - 1) / kAlignment * kAlignment;
  }
  const auto elements = static_cast<std::size_t>(count_);
  values_ = std::make_shared<const Buffer>(elements * sizeof(float));
  if (with_gradients) gradients_ = std::make_shared<const Buffer>(elements * sizeof(float));
  if (context.activation() == DType::bfloat16) {
    copies_ = std::make_shared<const Buffer>(elements * sizeof(__nv_bfloat16));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    variables_.push_back(
        {std::make_shared<ParameterTensor>(shapes[i], values_, offsets_[i], copies_), nullptr});
  }
  if (!with_gradients) return;
  const std::vector<TensorPtr> gradients = tensors_over(gradients_);
  for (std::size_t i = 0; i < gradients.size(); ++i) variables_[i].grad = gradients[i];
}

std::vector<TensorPtr> DeviceParameters::tensors_over(const std::shared_ptr<const Buffer>& memory) const {
  std::vector<TensorPtr> tensors;
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    tensors.push_back(std::make_shared<DeviceTensor>(variables_[i].value->shape(), DType::float32, memory,
                                                     static_cast<std::size_t>(offsets_[i]) * sizeof(float)));
  }
  return tensors;
}

std::unique_ptr<ParameterArena> CudaBackend::make_parameters(std::span<const Shape> shapes,
                                                             bool with_gradients) {
  return std::make_unique<DeviceParameters>(context_, shapes, with_gradients);
}

}  // namespace convoy::cuda
