#include "engine/backend/reference/storage.h"

#include <fmt/format.h>

#include "engine/backend/checks.h"
#include "engine/core/error.h"

namespace convoy::reference {
namespace {

template <typename T>
std::shared_ptr<std::vector<T>> zeroed(std::int64_t count) {
  return std::make_shared<std::vector<T>>(static_cast<std::size_t>(count));
}

template <typename Memory>
std::shared_ptr<Memory> as(const std::string& what, const TensorPtr& tensor, const char* kind) {
  if (!tensor) throw UsageError(fmt::format("{} is missing", what));
  auto memory = std::dynamic_pointer_cast<Memory>(tensor);
  if (!memory) {
    throw UsageError(
        fmt::format("{} {} is not a tensor of {} made by this backend", what, tensor->shape().str(), kind));
  }
  return memory;
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
    Variable variable{std::make_shared<RealTensor<T>>(shape, values_, offset), nullptr};
    if (with_gradients) variable.grad = std::make_shared<RealTensor<T>>(shape, gradients_, offset);
    variables_.push_back(std::move(variable));
    offset += shape.count();
  }
}

template <typename T>
std::shared_ptr<RealTensor<T>> as_real(const std::string& what, const TensorPtr& tensor) {
  return as<RealTensor<T>>(what, tensor, "reals");
}

std::shared_ptr<LabelTensor> as_labels(const std::string& what, const TensorPtr& tensor) {
  return as<LabelTensor>(what, tensor, "int32");
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

}  // namespace convoy::reference
