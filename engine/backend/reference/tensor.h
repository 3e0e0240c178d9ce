// The reference's memory: row-major vectors of the scalar type T (float or double), labels as int32.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace convoy::reference {

/// Floating-point elements, alone or as a part of an arena.
template <typename T>
class RealTensor final : public Tensor {
 public:
  explicit RealTensor(const Shape& shape);
  /// The elements of `arena` from `offset` on.
  RealTensor(const Shape& shape, std::shared_ptr<std::vector<T>> arena, std::int64_t offset);
  /// The elements of `other` under another shape of as many.
  RealTensor(const Shape& shape, const RealTensor& other)
      : Tensor(shape), memory_(other.memory_), values_(other.values_) {}

  std::span<T> values() { return values_; }
  std::span<const T> values() const { return values_; }
  const void* memory_id() const override { return values_.data(); }

 private:
  std::shared_ptr<std::vector<T>> memory_;
  std::span<T> values_;  // into memory_
};

class LabelTensor final : public Tensor {
 public:
  explicit LabelTensor(const Shape& shape);

  std::span<std::int32_t> values() { return values_; }
  std::span<const std::int32_t> values() const { return values_; }

 private:
  std::vector<std::int32_t> values_;
};

template <typename T>
class Arena final : public ParameterArena {
 public:
  Arena(std::span<const Shape> shapes, bool with_gradients);

  std::span<T> values() { return *values_; }
  /// Empty without gradients.
  std::span<T> gradients() { return *gradients_; }
  bool with_gradients() const { return with_gradients_; }

  /// `memory`, as large as the values, as one tensor a parameter.
  std::vector<TensorPtr> tensors_over(const std::shared_ptr<std::vector<T>>& memory) const;

 private:
  bool with_gradients_;
  std::shared_ptr<std::vector<T>> values_;
  std::shared_ptr<std::vector<T>> gradients_;
};

/// The memory of a Variable, held for as long as an operation lives.
template <typename T>
class Bound {
 public:
  Bound() = default;
  /// `what` is the layer and the tensor, "Conv2d: weight". Throws UsageError if there is no value, if it or
  /// the gradient is not this backend's, or if their shapes differ.
  Bound(const std::string& what, const Variable& variable);

  bool present() const { return value_ != nullptr; }
  bool wants_grad() const { return grad_ != nullptr; }
  const Shape& shape() const { return value_->shape(); }
  std::span<T> value() const { return value_->values(); }
  std::span<T> grad() const { return grad_->values(); }  // only if wants_grad()

 private:
  std::shared_ptr<RealTensor<T>> value_;
  std::shared_ptr<RealTensor<T>> grad_;
};

/// `tensor` as this backend's floating-point memory. Throws UsageError if it is not.
template <typename T>
std::shared_ptr<RealTensor<T>> as_real(const std::string& what, const TensorPtr& tensor);

/// `tensor` as int32 memory. Throws UsageError if it is not.
std::shared_ptr<LabelTensor> as_labels(const std::string& what, const TensorPtr& tensor);

/// Fresh memory for what an operation puts out.
template <typename T>
Variable make_variable(const Shape& shape, bool with_grad);

/// Rounds sums to the type that is stored.
template <typename T>
void store(std::span<const double> sums, std::span<T> destination) {
  for (std::size_t i = 0; i < destination.size(); ++i) destination[i] = static_cast<T>(sums[i]);
}

}  // namespace convoy::reference
