#include "engine/backend/reference/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {
namespace {

template <typename T>
std::shared_ptr<std::vector<T>> zeroed(std::int64_t count) {
  return std::make_shared<std::vector<T>>(static_cast<std::size_t>(count));
}

std::int32_t checked_label(double value) {
  const auto limit = static_cast<double>(std::numeric_limits<std::int32_t>::max());
  if (value >= -limit && value <= limit && value == static_cast<std::int32_t>(value)) {
    return static_cast<std::int32_t>(value);
  }
  throw UsageError(fmt::format("{} written to a tensor of int32", value));
}

}  // namespace

template <typename T>
RealTensor<T>::RealTensor(const Shape& shape) : RealTensor(shape, zeroed<T>(shape.count()), 0) {}

template <typename T>
RealTensor<T>::RealTensor(const Shape& shape, std::shared_ptr<std::vector<T>> arena, std::int64_t offset)
    : Tensor(shape),
      memory_(std::move(arena)),
      values_(std::span<T>(*memory_).subspan(static_cast<std::size_t>(offset),
                                             static_cast<std::size_t>(shape.count()))) {}

LabelTensor::LabelTensor(const Shape& shape)
    : Tensor(shape), values_(static_cast<std::size_t>(shape.count())) {}

template <typename T>
Arena<T>::Arena(std::span<const Shape> shapes, bool with_gradients) : with_gradients_(with_gradients) {
  std::int64_t total = 0;
  for (const Shape& shape : shapes) total += shape.count();
  values_ = zeroed<T>(total);
  gradients_ = zeroed<T>(with_gradients ? total : 0);
  std::int64_t offset = 0;
  for (const Shape& shape : shapes) {
    variables_.push_back({std::make_shared<RealTensor<T>>(shape, values_, offset), nullptr});
    offset += shape.count();
  }
  if (!with_gradients) return;
  const std::vector<TensorPtr> gradients = tensors_over(gradients_);
  for (std::size_t i = 0; i < gradients.size(); ++i) variables_[i].grad = gradients[i];
}

template <typename T>
std::vector<TensorPtr> Arena<T>::tensors_over(const std::shared_ptr<std::vector<T>>& memory) const {
  std::vector<TensorPtr> tensors;
  std::int64_t offset = 0;
  for (const Variable& variable : variables_) {
    const Shape& shape = variable.value->shape();
    tensors.push_back(std::make_shared<RealTensor<T>>(shape, memory, offset));
    offset += shape.count();
  }
  return tensors;
}

template <typename T>
std::shared_ptr<RealTensor<T>> as_real(const std::string& what, const TensorPtr& tensor) {
  return own_tensor<RealTensor<T>>(what, tensor, "reals");
}

std::shared_ptr<LabelTensor> as_labels(const std::string& what, const TensorPtr& tensor) {
  return own_tensor<LabelTensor>(what, tensor, "int32");
}

template <typename T>
Bound<T>::Bound(const std::string& what, const Variable& variable)
    : value_(as_real<T>(what, variable.value)) {
  if (!variable.grad) return;
  grad_ = as_real<T>(what + " gradient", variable.grad);
  require_shape(what + " gradient", grad_->shape(), value_->shape());
}

template <typename T>
Variable make_variable(const Shape& shape, bool with_grad) {
  Variable variable{std::make_shared<RealTensor<T>>(shape), nullptr};
  if (with_grad) variable.grad = std::make_shared<RealTensor<T>>(shape);
  return variable;
}

template <typename T>
TensorPtr ReferenceBackend<T>::make_tensor(const Shape& shape, DType dtype) {
  if (dtype == DType::float32) return std::make_shared<RealTensor<T>>(shape);
  if (dtype == DType::int32) return std::make_shared<LabelTensor>(shape);
  refuse_dtype(name(), dtype);
}

template <typename T>
std::unique_ptr<ParameterArena> ReferenceBackend<T>::make_parameters(std::span<const Shape> shapes,
                                                                     bool with_gradients) {
  return std::make_unique<Arena<T>>(shapes, with_gradients);
}

template <typename T>
std::vector<double> ReferenceBackend<T>::read(const Tensor& tensor) const {
  if (const auto* labels = dynamic_cast<const LabelTensor*>(&tensor)) {
    return {labels->values().begin(), labels->values().end()};
  }
  const auto reals = own<const RealTensor<T>>("the tensor read", tensor).values();
  return {reals.begin(), reals.end()};
}

template <typename T>
void ReferenceBackend<T>::write(Tensor& tensor, std::span<const double> values) {
  require_count(tensor.shape(), values.size());
  if (auto* labels = dynamic_cast<LabelTensor*>(&tensor)) {
    std::ranges::transform(values, labels->values().begin(), checked_label);
    return;
  }
  store<T>(values, own<RealTensor<T>>("the tensor written", tensor).values());
}

template <typename T>
Variable ReferenceBackend<T>::flatten(const Variable& x) {
  const Bound<T> checked("Flatten: input", x);
  const Shape shape = output_shape(Flatten{}, checked.shape());
  if (checked.shape() == shape) return x;
  const auto view = [&](const TensorPtr& tensor) -> TensorPtr {
    if (!tensor) return nullptr;
    return std::make_shared<RealTensor<T>>(shape, own<RealTensor<T>>("Flatten: input", *tensor));
  };
  return {view(x.value), view(x.grad)};
}

template class RealTensor<float>;
template class RealTensor<double>;
template class Arena<float>;
template class Arena<double>;
template class Bound<float>;
template class Bound<double>;
template std::shared_ptr<RealTensor<float>> as_real<float>(const std::string&, const TensorPtr&);
template std::shared_ptr<RealTensor<double>> as_real<double>(const std::string&, const TensorPtr&);
template Variable make_variable<float>(const Shape&, bool);
template Variable make_variable<double>(const Shape&, bool);
template TensorPtr ReferenceBackend<float>::make_tensor(const Shape&, DType);
template TensorPtr ReferenceBackend<double>::make_tensor(const Shape&, DType);
template std::unique_ptr<ParameterArena> ReferenceBackend<float>::make_parameters(std::span<const Shape>,
                                                                                  bool);
template std::unique_ptr<ParameterArena> ReferenceBackend<double>::make_parameters(std::span<const Shape>,
                                                                                   bool);
template std::vector<double> ReferenceBackend<float>::read(const Tensor&) const;
template std::vector<double> ReferenceBackend<double>::read(const Tensor&) const;
template void ReferenceBackend<float>::write(Tensor&, std::span<const double>);
template void ReferenceBackend<double>::write(Tensor&, std::span<const double>);
template Variable ReferenceBackend<float>::flatten(const Variable&);
template Variable ReferenceBackend<double>::flatten(const Variable&);

}  // namespace convoy::reference
