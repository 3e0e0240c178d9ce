// The CPU backend's tensors: a logical shape over memory in whatever layout oneDNN prefers. The memory of
// what was flattened, [N, C H W], keeps the four dimensions that it had.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/bfloat16.h"
#include "engine/backend/cpu/device.h"

namespace convoy::cpu {

/// Row-major, as PyTorch has it. A scalar's one element lies in a oneDNN dimension of 1.
Layout plain_layout(const Shape& shape, DType dtype = DType::float32);

/// Any layout of that shape: for a primitive to choose.
Layout any_layout(const Dims& dims, DataType type);

Dims dims_of(const Shape& shape);

class CpuTensor final : public Tensor {
 public:
  /// Zeros.
  CpuTensor(const Device& device, const Shape& shape, const Layout& layout);
  /// The part of an arena that starts at `begin`, plain.
  CpuTensor(const Device& device, const Shape& shape, std::shared_ptr<Buffer> arena, float* begin);
  /// The memory of `other` under another shape of as many elements.
  CpuTensor(const Shape& shape, const CpuTensor& other);

  const dnnl::memory& memory() const { return memory_; }
  Layout layout() const { return memory_.get_desc(); }
  /// The memory's dimensions, not the shape's.
  Dims dims() const { return dims_of(layout()); }
  DataType type() const { return type_of(layout()); }
  const void* memory_id() const override { return memory_.get_data_handle(); }

  /// In memory order, with the padding that a blocked layout may have (always zero).
  template <typename T>
  std::span<T> values() const {
    return {static_cast<T*>(memory_.get_data_handle()), layout().get_size() / sizeof(T)};
  }
  std::span<float> floats() const { return values<float>(); }
  std::span<std::int32_t> integers() const { return values<std::int32_t>(); }

  /// The same plain memory under other dimensions of as many elements.
  dnnl::memory viewed_as(const Device& device, const Dims& dims) const;

 private:
  std::shared_ptr<Buffer> bytes_;
  dnnl::memory memory_;
};

/// A Variable of this backend, held for as long as an operation lives. `grad` may be null.
struct Bound {
  Bound() = default;
  /// `what` is the layer and the tensor, "Conv2d: weight". Throws UsageError if the value is missing, if it
  /// or the gradient is not of real numbers and made by this backend, or if their shapes or layouts differ.
  Bound(const std::string& what, const Variable& variable);

  const Shape& shape() const { return value->shape(); }

  std::shared_ptr<CpuTensor> value;
  std::shared_ptr<CpuTensor> grad;
};

/// `tensor` as this backend's. Throws UsageError if it is missing, not this backend's, or not of the type;
/// real numbers are floats or bf16.
std::shared_ptr<CpuTensor> as_reals(const std::string& what, const TensorPtr& tensor);
std::shared_ptr<CpuTensor> as_floats(const std::string& what, const TensorPtr& tensor);
std::shared_ptr<CpuTensor> as_integers(const std::string& what, const TensorPtr& tensor);

/// `make.template operator()<T>()` with the type in which the tensor's real numbers lie in memory.
template <typename Make>
auto by_type(const CpuTensor& tensor, Make make) {
  return tensor.type() == DataType::bf16 ? make.template operator()<Bfloat16>()
                                         : make.template operator()<float>();
}

/// Fresh memory for what an operation puts out: value and gradient in one layout.
Variable make_variable(const Device& device, const Shape& shape, const Layout& layout, bool with_grad);

/// Values, gradients and whatever an optimizer adds lie in the same order: parameter after parameter, each
/// from a cache line on, the gaps zero.
class CpuParameters final : public ParameterArena {
 public:
  CpuParameters(const Device& device, std::span<const Shape> shapes, bool with_gradients);

  std::span<float> values() const;
  std::span<float> gradients() const;  // empty without gradients

  /// `memory`, as large as the values, as one tensor a parameter.
  std::vector<TensorPtr> tensors_over(const std::shared_ptr<Buffer>& memory) const;

 private:
  const Device& device_;
  std::shared_ptr<Buffer> values_;
  std::shared_ptr<Buffer> gradients_;
};

}  // namespace convoy::cpu
