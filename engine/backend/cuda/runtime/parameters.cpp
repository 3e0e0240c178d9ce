#include "engine/backend/cuda/runtime/parameters.h"

#include <cuda_bf16.h>
#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

// Elements: 16 bytes in bf16, 32 in fp32, so that both views of a parameter are aligned.
constexpr std::int64_t kAlignment = 8;

std::shared_ptr<DeviceTensor> tensor_in(const ArenaLayout& layout, std::size_t parameter,
                                        const std::shared_ptr<const Buffer>& buffer, DType dtype) {
  return std::make_shared<DeviceTensor>(layout.shape(parameter), dtype, buffer,
                                        layout.offset(parameter, dtype), layout.order(parameter));
}

}  // namespace

ArenaLayout::ArenaLayout(std::span<const Shape> shapes) {
  for (const Shape& shape : shapes) {
    parts_.push_back({shape, count_, std::make_shared<MemoryOrder>(default_order(shape))});
    count_ += (shape.count() + kAlignment - 1) / kAlignment * kAlignment;
  }
  count_ = std::max(count_, kAlignment);  // a model without parameters trains nothing, but it runs
}

std::size_t ArenaLayout::offset(std::size_t parameter, DType dtype) const {
  return static_cast<std::size_t>(parts_[parameter].begin) * bytes_of(dtype);
}

void ArenaLayout::add(const std::shared_ptr<const Buffer>& buffer, DType dtype) {
  std::erase_if(buffers_, [](const auto& entry) { return entry.first.expired(); });
  const bool known =
      std::ranges::any_of(buffers_, [&](const auto& entry) { return entry.first.lock() == buffer; });
  if (!known) buffers_.emplace_back(buffer, dtype);
}

void ArenaLayout::order_columns(std::size_t parameter, const MemoryOrder& order, cudaStream_t stream) {
  Part& part = parts_[parameter];
  if (part.ordered && *part.order != order) {
    throw UsageError(fmt::format("Linear: weight {} is used behind the Flatten of images of another extent",
                                 part.shape.str()));
  }
  if (*part.order != order) {
    // All memory first: where it does not suffice, nothing has moved yet.
    struct Move {
      std::shared_ptr<DeviceTensor> from, to;
    };
    std::vector<Move> moves;
    for (const auto& [weak, dtype] : buffers_) {
      const std::shared_ptr<const Buffer> buffer = weak.lock();
      if (!buffer) continue;
      const auto from = std::make_shared<DeviceTensor>(part.shape, dtype, buffer, offset(parameter, dtype),
                                                       std::make_shared<const MemoryOrder>(*part.order));
      moves.push_back({from, make_like(*from, order)});
    }
    for (const auto& [from, to] : moves) {
      copy(*from, *to, stream);
      CONVOY_CUDA(cudaMemcpyAsync(from->data(), to->data(), from->bytes(), cudaMemcpyDeviceToDevice, stream));
    }
    CONVOY_CUDA(cudaStreamSynchronize(stream));  // before they are freed
    *part.order = order;
  }
  part.ordered = true;
}

ParameterTensor::ParameterTensor(std::shared_ptr<ArenaLayout> layout, std::size_t index,
                                 const std::shared_ptr<const Buffer>& values,
                                 const std::shared_ptr<const Buffer>& copies)
    : DeviceTensor(layout->shape(index), DType::float32, values, layout->offset(index, DType::float32),
                   layout->order(index)),
      layout_(std::move(layout)),
      index_(index),
      copy_(copies ? tensor_in(*layout_, index, copies, DType::bfloat16) : nullptr) {}

void ParameterTensor::write(std::span<const double> values, cudaStream_t stream) {
  DeviceTensor::write(values, stream);
  if (copy_) copy_->write(values, stream);
}

DeviceTensor& compute_copy(const TensorPtr& parameter) {
  if (auto* own = dynamic_cast<ParameterTensor*>(parameter.get())) return own->compute_copy();
  return device(parameter);
}

void require_parameter(const std::string& what, const Variable& parameter, DType computed) {
  const auto value = own_tensor<DeviceTensor>(what, parameter.value, name_of(computed));
  if (compute_copy(value).dtype() != computed) refuse_tensor(what, value.get(), name_of(computed));
  require_gradient(what, parameter, DType::float32);
}

void order_columns(const Variable& weight, const MemoryOrder& order, cudaStream_t stream) {
  if (auto* own = dynamic_cast<ParameterTensor*>(weight.value.get()))
    return own->order_columns(order, stream);
  if (device(weight.value).order() == order) return;
  throw UsageError(
      fmt::format("Linear: weight {} is no parameter of an arena, so it cannot be read behind a Flatten",
                  weight.value->shape().str()));
}

DeviceParameters::DeviceParameters(const Context& context, std::span<const Shape> shapes, bool with_gradients)
    : layout_(std::make_shared<ArenaLayout>(shapes)) {
  const auto make_buffer = [&](DType dtype) {
    auto buffer = std::make_shared<const Buffer>(static_cast<std::size_t>(count()) * bytes_of(dtype));
    layout_->add(buffer, dtype);
    return buffer;
  };
  values_ = make_buffer(DType::float32);
  if (with_gradients) gradients_ = make_buffer(DType::float32);
  if (context.activation() == DType::bfloat16) copies_ = make_buffer(DType::bfloat16);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    Variable variable{std::make_shared<ParameterTensor>(layout_, i, values_, copies_), nullptr};
    if (with_gradients) variable.grad = tensor_in(*layout_, i, gradients_, DType::float32);
    variables_.push_back(std::move(variable));
  }
}

std::vector<TensorPtr> DeviceParameters::tensors_over(const std::shared_ptr<const Buffer>& memory) const {
  layout_->add(memory, DType::float32);
  std::vector<TensorPtr> tensors;
  for (std::size_t i = 0; i < layout_->parameters(); ++i) {
    tensors.push_back(tensor_in(*layout_, i, memory, DType::float32));
  }
  return tensors;
}

std::unique_ptr<ParameterArena> CudaBackend::make_parameters(std::span<const Shape> shapes,
                                                             bool with_gradients) {
  return std::make_unique<DeviceParameters>(context_, shapes, with_gradients);
}

}  // namespace convoy::cuda
