#include "engine/backend/cuda/runtime/tensor.h"

#include <cuda_bf16.h>
#include <fmt/format.h>

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/core/error.h"

namespace convoy::cuda {
namespace {

// Calls `visit(row_major, in_memory)` for the positions of every element: N,H,W,C in memory for rank 4, the
// same order for any other.
template <typename Visit>
void for_each_position(const Shape& shape, Visit visit) {
  if (shape.rank() != 4) {
    for (std::int64_t i = 0; i < shape.count(); ++i)
      visit(static_cast<std::size_t>(i), static_cast<std::size_t>(i));
    return;
  }
  const std::int64_t channels = shape[1];
  const std::int64_t pixels = shape[2] * shape[3];
  std::size_t row_major = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, ++row_major) {
        visit(row_major, static_cast<std::size_t>((n * pixels + pixel) * channels + c));
      }
    }
  }
}

template <typename T>
std::vector<double> read_as(const DeviceTensor& tensor, cudaStream_t stream) {
  std::vector<T> staging(static_cast<std::size_t>(tensor.shape().count()));
  copy_to_host(staging.data(), tensor.data(), tensor.bytes(), stream);
  std::vector<double> values(staging.size());
  for_each_position(tensor.shape(), [&](std::size_t logical, std::size_t memory) {
    values[logical] = static_cast<double>(static_cast<float>(staging[memory]));
  });
  return values;
}

template <typename T>
void write_as(DeviceTensor& tensor, std::span<const double> values, cudaStream_t stream) {
  std::vector<T> staging(values.size());
  for_each_position(tensor.shape(), [&](std::size_t logical, std::size_t memory) {
    staging[memory] = static_cast<T>(static_cast<float>(values[logical]));
  });
  copy_to_device(tensor.data(), staging.data(), tensor.bytes(), stream);
}

}  // namespace

DeviceTensor::DeviceTensor(const Shape& shape, DType dtype, std::shared_ptr<const Buffer> memory,
                           std::size_t offset)
    : Tensor(shape), dtype_(dtype), memory_(std::move(memory)), data_(memory_->as<std::byte>() + offset) {}

std::size_t DeviceTensor::bytes() const {
  return static_cast<std::size_t>(shape().count()) * bytes_of(dtype_);
}

std::vector<double> DeviceTensor::read(cudaStream_t stream) const {
  if (dtype_ == DType::bfloat16) return read_as<__nv_bfloat16>(*this, stream);
  if (dtype_ == DType::int32) return read_as<std::int32_t>(*this, stream);
  return read_as<float>(*this, stream);
}

void DeviceTensor::write(std::span<const double> values, cudaStream_t stream) {
  require_count(shape(), values.size());
  if (dtype_ == DType::bfloat16) return write_as<__nv_bfloat16>(*this, values, stream);
  if (dtype_ == DType::int32) return write_as<std::int32_t>(*this, values, stream);
  write_as<float>(*this, values, stream);
}

const DeviceTensor& device(const Tensor& tensor) { return own<const DeviceTensor>("a tensor", tensor); }

DeviceTensor& device(Tensor& tensor) { return own<DeviceTensor>("a tensor", tensor); }

DeviceTensor& device(const TensorPtr& tensor) { return device(*tensor); }

void require_own(const std::string& what, const Variable& variable) {
  const auto require_reals = [](const std::string& name, const TensorPtr& tensor) {
    if (own_tensor<DeviceTensor>(name, tensor, "reals")->dtype() == DType::int32) {
      refuse_tensor(name, tensor.get(), "reals");
    }
  };
  require_reals(what, variable.value);
  if (!variable.grad) return;
  require_reals(what + " gradient", variable.grad);
  require_shape(what + " gradient", variable.grad->shape(), variable.value->shape());
}

TensorPtr CudaBackend::make_tensor(const Shape& shape, DType dtype) {
  if (dtype != DType::float32 && dtype != DType::int32) refuse_dtype(name(), dtype);
  return context_.make_tensor(shape, dtype);
}

TensorPtr CudaBackend::make_activation(const Shape& shape) {
  return context_.make_tensor(shape, context_.activation());
}

std::vector<double> CudaBackend::read(const Tensor& tensor) const {
  return own<const DeviceTensor>("the tensor read", tensor).read(context_.stream());
}

void CudaBackend::write(Tensor& tensor, std::span<const double> values) {
  own<DeviceTensor>("the tensor written", tensor).write(values, context_.stream());
}

}  // namespace convoy::cuda
