#include "engine/backend/cpu/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kFloatsPerLine = 16;

std::int64_t whole_lines(std::int64_t floats) {
  return (floats + kFloatsPerLine - 1) / kFloatsPerLine * kFloatsPerLine;
}

DataType type_of(DType dtype) {
  return dtype == DType::float32 ? DataType::f32 : dtype == DType::bfloat16 ? DataType::bf16 : DataType::s32;
}

std::shared_ptr<CpuTensor> as_cpu(const std::string& what, const TensorPtr& tensor, const char* kind,
                                  std::initializer_list<DataType> types) {
  auto ours = own_tensor<CpuTensor>(what, tensor, kind);
  if (std::ranges::find(types, ours->type()) == types.end()) refuse_tensor(what, tensor.get(), kind);
  return ours;
}

}  // namespace

Dims dims_of(const Shape& shape) {
  const auto dimensions = shape.dimensions();
  return dimensions.empty() ? Dims{1} : Dims(dimensions.begin(), dimensions.end());
}

Layout plain_layout(const Shape& shape, DType dtype) { return plain_layout(dims_of(shape), type_of(dtype)); }

Layout plain_layout(const Dims& dims, DataType type) {
  Dims strides(dims.size());
  std::int64_t stride = 1;
  for (std::size_t axis = dims.size(); axis-- > 0; stride *= dims[axis]) strides[axis] = stride;
  return {dims, type, strides};
}

Layout any_layout(const Dims& dims, DataType type) { return {dims, type, dnnl::memory::format_tag::any}; }

CpuTensor::CpuTensor(const Device& device, const Shape& shape, const Layout& layout) : Tensor(shape) {
  const Block block(device, layout);
  bytes_ = block.bytes;
  memory_ = block.memory;
}

CpuTensor::CpuTensor(const Device& device, const Shape& shape, std::shared_ptr<Buffer> arena, float* begin)
    : Tensor(shape), bytes_(std::move(arena)), memory_(plain_layout(shape), device.engine(), begin) {}

CpuTensor::CpuTensor(const Shape& shape, const CpuTensor& other)
    : Tensor(shape), bytes_(other.bytes_), memory_(other.memory_) {}

dnnl::memory CpuTensor::viewed_as(const Device& device, const Dims& dims) const {
  return {plain_layout(dims), device.engine(), memory_.get_data_handle()};
}

Bound::Bound(const std::string& what, const Variable& variable) : value(as_reals(what, variable.value)) {
  if (!variable.grad) return;
  grad = as_reals(what + " gradient", variable.grad);
  require_shape(what + " gradient", grad->shape(), value->shape());
  if (grad->layout() != value->layout()) {
    throw UsageError(
        fmt::format("{} {} and its gradient come from different operations", what, shape().str()));
  }
}

std::shared_ptr<CpuTensor> as_reals(const std::string& what, const TensorPtr& tensor) {
  return as_cpu(what, tensor, "reals", {DataType::f32, DataType::bf16});
}

std::shared_ptr<CpuTensor> as_floats(const std::string& what, const TensorPtr& tensor) {
  return as_cpu(what, tensor, "reals", {DataType::f32});
}

std::shared_ptr<CpuTensor> as_integers(const std::string& what, const TensorPtr& tensor) {
  return as_cpu(what, tensor, "int32", {DataType::s32});
}

Variable make_variable(const Device& device, const Shape& shape, const Layout& layout, bool with_grad) {
  Variable variable{std::make_shared<CpuTensor>(device, shape, layout), nullptr};
  if (with_grad) variable.grad = std::make_shared<CpuTensor>(device, shape, layout);
  return variable;
}

TensorPtr CpuBackend::make_tensor(const Shape& shape, DType dtype) {
  if (dtype != DType::float32 && dtype != DType::int32) refuse_dtype(name(), dtype);
  return std::make_shared<CpuTensor>(device_, shape, plain_layout(shape, dtype));
}

TensorPtr CpuBackend::make_activation(const Shape& shape) {
  return std::make_shared<CpuTensor>(device_, shape, plain_layout(shape, activation_));
}

std::unique_ptr<ParameterArena> CpuBackend::make_parameters(std::span<const Shape> shapes,
                                                            bool with_gradients) {
  return std::make_unique<CpuParameters>(device_, shapes, with_gradients);
}

std::vector<double> CpuBackend::read(const Tensor& foreign) const {
  const auto& tensor = own<const CpuTensor>("the tensor read", foreign);
  if (tensor.type() == DataType::s32) {
    const auto integers = tensor.integers();
    return {integers.begin(), integers.end()};
  }
  Relaid plain = Relaid::input(device_, tensor.memory(), plain_layout(tensor.shape()));
  plain.copy();
  const auto* begin = static_cast<const float*>(plain.memory().get_data_handle());
  return {begin, begin + tensor.shape().count()};
}

void CpuBackend::write(Tensor& foreign, std::span<const double> values) {
  const auto& tensor = own<const CpuTensor>("the tensor written", foreign);
  require_count(tensor.shape(), values.size());
  if (tensor.type() == DataType::s32) {
    std::ranges::transform(values, tensor.integers().begin(),
                           [](double value) { return static_cast<std::int32_t>(value); });
    return;
  }
  Relaid plain = Relaid::output(device_, tensor.memory(), plain_layout(tensor.shape()));
  std::ranges::transform(values, static_cast<float*>(plain.memory().get_data_handle()),
                         [](double value) { return static_cast<float>(value); });
  plain.copy();
}

Variable CpuBackend::flatten(const Variable& x) {
  const Bound bound("Flatten: input", x);
  const Shape shape = output_shape(Flatten{}, bound.shape());
  if (bound.shape() == shape) return x;
  Variable flat{std::make_shared<CpuTensor>(shape, *bound.value), nullptr};
  if (bound.grad) flat.grad = std::make_shared<CpuTensor>(shape, *bound.grad);
  return flat;
}

CpuParameters::CpuParameters(const Device& device, std::span<const Shape> shapes, bool with_gradients)
    : device_(device) {
  std::int64_t total = 0;
  for (const Shape& shape : shapes) total += whole_lines(shape.count());
  const auto bytes = static_cast<std::size_t>(total) * sizeof(float);
  values_ = std::make_shared<Buffer>(bytes);
  if (with_gradients) gradients_ = std::make_shared<Buffer>(bytes);

  std::int64_t offset = 0;
  for (const Shape& shape : shapes) {
    auto* const begin = static_cast<float*>(values_->data()) + offset;
    variables_.push_back({std::make_shared<CpuTensor>(device, shape, values_, begin), nullptr});
    offset += whole_lines(shape.count());
  }
  if (!with_gradients) return;
  const std::vector<TensorPtr> gradients = tensors_over(gradients_);
  for (std::size_t i = 0; i < gradients.size(); ++i) variables_[i].grad = gradients[i];
}

std::vector<TensorPtr> CpuParameters::tensors_over(const std::shared_ptr<Buffer>& memory) const {
  std::vector<TensorPtr> tensors;
  auto* begin = static_cast<float*>(memory->data());
  for (const Variable& variable : variables_) {
    const Shape& shape = variable.value->shape();
    tensors.push_back(std::make_shared<CpuTensor>(device_, shape, memory, begin));
    begin += whole_lines(shape.count());
  }
  return tensors;
}

std::span<float> CpuParameters::values() const {
  return {static_cast<float*>(values_->data()), values_->size() / sizeof(float)};
}

std::span<float> CpuParameters::gradients() const {
  if (!gradients_) return {};
  return {static_cast<float*>(gradients_->data()), gradients_->size() / sizeof(float)};
}

}  // namespace convoy::cpu
