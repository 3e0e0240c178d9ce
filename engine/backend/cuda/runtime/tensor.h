// Tensors on the device: N,H,W,C in memory, 16-byte aligned.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/runtime/memory.h"

namespace convoy::cuda {

/// A view of device memory: of a buffer of its own, or of a place in an arena, which it keeps alive.
class DeviceTensor : public Tensor {
 public:
  DeviceTensor(const Shape& shape, DType dtype, std::shared_ptr<const Buffer> memory, std::size_t offset = 0);

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  DType dtype() const { return dtype_; }
  std::size_t bytes() const;

  /// Elements in row-major order of the logical shape; both block on `stream`.
  std::vector<double> read(cudaStream_t stream) const;
  virtual void write(std::span<const double> values, cudaStream_t stream);

 private:
  DType dtype_;
  std::shared_ptr<const Buffer> memory_;
  void* data_;
};

/// Throws UsageError unless both are this backend's real numbers and the gradient, if any, has the value's
/// shape. `what` is the layer and the tensor: "Conv2d: weight".
void require_own(const std::string& what, const Variable& variable);

/// The tensor as this backend's own. Throws UsageError if another backend made it.
DeviceTensor& device(const TensorPtr& tensor);
DeviceTensor& device(Tensor& tensor);
const DeviceTensor& device(const Tensor& tensor);

}  // namespace convoy::cuda
