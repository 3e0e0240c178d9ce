#include "engine/backend/cuda/tensor.h"

#include <cuda_bf16.h>
#include <fmt/format.h>

#include "engine/backend/checks.h"
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

std::size_t bytes_of(Storage storage) { return storage == Storage::bfloat16 ? 2 : 4; }

DeviceTensor::DeviceTensor(const Shape& shape, Storage storage, std::shared_ptr<const Buffer> memory,
                           std::size_t offset)
    : Tensor(shape),
      storage_(storage),
      memory_(std::move(memory)),
      data_(memory_->as<std::byte>() + offset) {}

std::size_t DeviceTensor::bytes() const {
  return static_cast<std::size_t>(shape().count()) * bytes_of(storage_);
}

kernels::Element DeviceTensor::element() const {
  return storage_ == Storage::bfloat16 ? kernels::Element::bfloat16 : kernels::Element::float32;
}

graph::DataType DeviceTensor::graph_type() const {
  return storage_ == Storage::bfloat16 ? graph::DataType::bfloat16 : graph::DataType::float32;
}

std::vector<double> DeviceTensor::read(cudaStream_t stream) const {
  switch (storage_) {
    case Storage::bfloat16:
      return read_as<__nv_bfloat16>(*this, stream);
    case Storage::int32:
      return read_as<std::int32_t>(*this, stream);
    case Storage::float32:
      break;
  }
  return read_as<float>(*this, stream);
}

void DeviceTensor::write(std::span<const double> values, cudaStream_t stream) {
  if (static_cast<std::int64_t>(values.size()) != shape().count()) {
    throw UsageError(fmt::format("{} values written to a tensor {}", values.size(), shape().str()));
  }
  switch (storage_) {
    case Storage::bfloat16:
      return write_as<__nv_bfloat16>(*this, values, stream);
    case Storage::int32:
      return write_as<std::int32_t>(*this, values, stream);
    case Storage::float32:
      return write_as<float>(*this, values, stream);
  }
}

const DeviceTensor& device(const Tensor& tensor) {
  const auto* own = dynamic_cast<const DeviceTensor*>(&tensor);
  if (!own)
    throw UsageError(fmt::format("a tensor {} was not made by the CUDA backend", tensor.shape().str()));
  return *own;
}

DeviceTensor& device(Tensor& tensor) { return const_cast<DeviceTensor&>(device(std::as_const(tensor))); }

DeviceTensor& device(const TensorPtr& tensor) { return device(*tensor); }

void require_own(const char* what, const Variable& variable) {
  if (!variable.value) throw UsageError(fmt::format("{} is missing", what));
  for (const TensorPtr& tensor : {variable.value, variable.grad}) {
    if (tensor && device(tensor).storage() == Storage::int32) {
      throw UsageError(fmt::format("{} {} is not a tensor of reals", what, tensor->shape().str()));
    }
  }
  if (variable.grad) {
    require_shape(fmt::format("{} gradient", what), variable.grad->shape(), variable.value->shape());
  }
}

}  // namespace convoy::cuda
