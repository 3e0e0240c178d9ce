#include "engine/backend/cuda/runtime/tensor.h"

#include <cuda_bf16.h>
#include <fmt/format.h>

#include <cstring>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/model/layer_rules.h"
#include "kernels/cuda_error.h"
#include "kernels/elementwise.h"

namespace convoy::cuda {
namespace {

std::size_t place_of(const DeviceTensor& tensor, std::size_t index) {
  return static_cast<std::size_t>(tensor.order().place_of(static_cast<std::int64_t>(index)));
}

template <typename T>
std::vector<double> values_as(const DeviceTensor& tensor, const std::byte* copy) {
  std::vector<double> values(static_cast<std::size_t>(tensor.shape().count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, copy + place_of(tensor, i) * sizeof value, sizeof value);
    values[i] = static_cast<double>(static_cast<float>(value));
  }
  return values;
}

template <typename T>
void write_as(DeviceTensor& tensor, std::span<const double> values, cudaStream_t stream) {
  std::vector<T> staging(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    staging[place_of(tensor, i)] = static_cast<T>(static_cast<float>(values[i]));
  }
  copy_to_device(tensor.data(), staging.data(), tensor.bytes(), stream);
}

}  // namespace

MemoryOrder default_order(const Shape& shape) {
  return shape.rank() == 4 ? MemoryOrder{shape[1], shape[2] * shape[3]} : MemoryOrder{};
}

DeviceTensor::DeviceTensor(const Shape& shape, DType dtype, std::shared_ptr<const Buffer> memory,
                           std::size_t offset, std::shared_ptr<const MemoryOrder> order)
    : Tensor(shape),
      dtype_(dtype),
      memory_(std::move(memory)),
      data_(memory_->as<std::byte>() + offset),
      order_(order ? std::move(order) : std::make_shared<const MemoryOrder>(default_order(shape))) {}

DeviceTensor::DeviceTensor(const Shape& shape, const DeviceTensor& other)
    : Tensor(shape), dtype_(other.dtype_), memory_(other.memory_), data_(other.data_), order_(other.order_) {}

std::size_t DeviceTensor::bytes() const {
  return static_cast<std::size_t>(shape().count()) * bytes_of(dtype_);
}

std::vector<double> DeviceTensor::read(cudaStream_t stream) const {
  std::vector<std::byte> copy(bytes());
  copy_to_host(copy.data(), data(), copy.size(), stream);
  return values(copy.data());
}

std::vector<double> DeviceTensor::values(const std::byte* copy) const {
  if (dtype_ == DType::bfloat16) return values_as<__nv_bfloat16>(*this, copy);
  if (dtype_ == DType::int32) return values_as<std::int32_t>(*this, copy);
  return values_as<float>(*this, copy);
}

void DeviceTensor::write(std::span<const double> values, cudaStream_t stream) {
  require_count(shape(), values.size());
  if (dtype_ == DType::bfloat16) return write_as<__nv_bfloat16>(*this, values, stream);
  if (dtype_ == DType::int32) return write_as<std::int32_t>(*this, values, stream);
  write_as<float>(*this, values, stream);
}

std::shared_ptr<DeviceTensor> make_like(const DeviceTensor& tensor, const MemoryOrder& order) {
  return std::make_shared<DeviceTensor>(tensor.shape(), tensor.dtype(),
                                        std::make_shared<const Buffer>(tensor.bytes()), 0,
                                        std::make_shared<const MemoryOrder>(order));
}

std::shared_ptr<DeviceTensor> make_like(const DeviceTensor& tensor) {
  return make_like(tensor, tensor.order());
}

Variable make_output_like(const TensorPtr& x, bool with_gradient) {
  return {make_like(device(x)), with_gradient ? make_like(device(x)) : nullptr};
}

void copy(const DeviceTensor& from, const DeviceTensor& to, cudaStream_t stream) {
  if (from.order() == to.order()) {
    CONVOY_CUDA(cudaMemcpyAsync(to.data(), from.data(), from.bytes(), cudaMemcpyDeviceToDevice, stream));
    return;
  }
  kernels::reorder({from.data(), from.order(), to.data(), to.order()}, from.dtype(), from.shape().count(),
                   stream);
}

const DeviceTensor& device(const Tensor& tensor) { return own<const DeviceTensor>("a tensor", tensor); }

DeviceTensor& device(Tensor& tensor) { return own<DeviceTensor>("a tensor", tensor); }

DeviceTensor& device(const TensorPtr& tensor) { return device(*tensor); }

void require_own(const std::string& what, const Variable& variable, DType dtype) {
  require_own(what, variable.value, dtype);
  require_gradient(what, variable, dtype);
}

void require_gradient(const std::string& what, const Variable& variable, DType dtype) {
  if (!variable.grad) return;
  require_own(what + " gradient", variable.grad, dtype);
  require_shape(what + " gradient", variable.grad->shape(), variable.value->shape());
  if (device(*variable.grad).order() == device(*variable.value).order()) return;
  throw UsageError(fmt::format("{} {} and its gradient come from different operations", what,
                               variable.value->shape().str()));
}

void require_own(const std::string& what, const TensorPtr& tensor, DType dtype) {
  const std::string kind = name_of(dtype);
  if (own_tensor<DeviceTensor>(what, tensor, kind.c_str())->dtype() != dtype) {
    refuse_tensor(what, tensor.get(), kind.c_str());
  }
}

TensorPtr CudaBackend::make_tensor(const Shape& shape, DType dtype) {
  if (dtype != DType::float32 && dtype != DType::int32) refuse_dtype(name(), dtype);
  return context_.make_tensor(shape, dtype);
}

TensorPtr CudaBackend::make_activation(const Shape& shape) {
  return context_.make_tensor(shape, context_.activation());
}

Variable CudaBackend::flatten(const Variable& x) {
  require_own("Flatten: input", x, context_.activation());
  const Shape shape = output_shape(Flatten{}, x.value->shape());
  if (x.value->shape() == shape) return x;
  Variable flat{std::make_shared<DeviceTensor>(shape, device(x.value)), nullptr};
  if (x.grad) flat.grad = std::make_shared<DeviceTensor>(shape, device(x.grad));
  return flat;
}

std::vector<double> CudaBackend::read(const Tensor& tensor) const {
  return own<const DeviceTensor>("the tensor read", tensor).read(context_.stream());
}

void CudaBackend::write(Tensor& tensor, std::span<const double> values) {
  own<DeviceTensor>("the tensor written", tensor).write(values, context_.stream());
}

}  // namespace convoy::cuda
