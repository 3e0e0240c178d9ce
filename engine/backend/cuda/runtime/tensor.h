// Tensors on the device: N,H,W,C in memory, 16-byte aligned. What was flattened, [N, C H W], lies as it did.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/runtime/memory.h"
#include "kernels/memory_order.h"

namespace convoy::cuda {

using kernels::MemoryOrder;

/// N,H,W,C for rank 4, row-major for any other.
MemoryOrder default_order(const Shape& shape);

/// A view of device memory: of a buffer of its own, or of a place in an arena, which it keeps alive.
class DeviceTensor : public Tensor {
 public:
  /// `offset` is in bytes. Tensors that share an `order` change it together; null is the default order.
  DeviceTensor(const Shape& shape, DType dtype, std::shared_ptr<const Buffer> memory, std::size_t offset = 0,
               std::shared_ptr<const MemoryOrder> order = nullptr);
  /// The memory of `other` under another shape of as many elements.
  DeviceTensor(const Shape& shape, const DeviceTensor& other);

  void* data() const { return data_; }
  const void* memory_id() const override { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  DType dtype() const { return dtype_; }
  const MemoryOrder& order() const { return *order_; }
  std::size_t bytes() const;

  /// Elements in row-major order of the logical shape; both block on `stream`.
  std::vector<double> read(cudaStream_t stream) const;
  /// The same of a copy of its bytes in the host's memory.
  std::vector<double> values(const std::byte* copy) const;
  virtual void write(std::span<const double> values, cudaStream_t stream);

 private:
  DType dtype_;
  std::shared_ptr<const Buffer> memory_;
  void* data_;
  std::shared_ptr<const MemoryOrder> order_;
};

/// Zeros, of that tensor's shape, type and memory order.
std::shared_ptr<DeviceTensor> make_like(const DeviceTensor& tensor, const MemoryOrder& order);
std::shared_ptr<DeviceTensor> make_like(const DeviceTensor& tensor);
/// The output of an operation that keeps all of these of its input.
Variable make_output_like(const TensorPtr& x, bool with_gradient);

/// Enqueues a copy, of the same elements where the memory orders differ. Both have one shape and type.
void copy(const DeviceTensor& from, const DeviceTensor& to, cudaStream_t stream);

/// Throws UsageError unless both are this backend's, of that type, and the gradient, if any, has the value's
/// shape and memory order. `what` is the layer and the tensor: "Conv2d: weight".
void require_own(const std::string& what, const Variable& variable, DType dtype);
/// The half of it that looks at the gradient, if there is one.
void require_gradient(const std::string& what, const Variable& variable, DType dtype);
/// The same for one tensor.
void require_own(const std::string& what, const TensorPtr& tensor, DType dtype);

/// The tensor as this backend's own. Throws UsageError if another backend made it.
DeviceTensor& device(const TensorPtr& tensor);
DeviceTensor& device(Tensor& tensor);
const DeviceTensor& device(const Tensor& tensor);

}  // namespace convoy::cuda
