// Trainable tensors in one flat arena each for values and gradients, so that one launch updates a whole
// model.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// Where each parameter lies in a buffer of an arena (values, gradients, what an optimizer adds), and in
/// which memory order: both are the same in all of them.
class ArenaLayout {
 public:
  explicit ArenaLayout(std::span<const Shape> shapes);

  std::size_t parameters() const { return parts_.size(); }
  std::int64_t count() const { return count_; }  // of elements, with the gaps that align each parameter

  const Shape& shape(std::size_t parameter) const { return parts_[parameter].shape; }
  std::size_t offset(std::size_t parameter, DType dtype) const;  // in bytes
  const std::shared_ptr<MemoryOrder>& order(std::size_t parameter) const { return parts_[parameter].order; }

  /// From now on `buffer` follows when a parameter is reordered, for as long as it lives.
  void add(const std::shared_ptr<const Buffer>& buffer, DType dtype);

  /// Gives the columns of a matrix that memory order, in all buffers. Throws UsageError if they were given
  /// another one before; blocks on `stream` when it moves anything.
  void order_columns(std::size_t parameter, const MemoryOrder& order, cudaStream_t stream);

 private:
  struct Part {
    Shape shape;
    std::int64_t begin = 0;
    std::shared_ptr<MemoryOrder> order;
    bool ordered = false;  // by a Linear that reads it
  };
  std::vector<Part> parts_;
  std::int64_t count_ = 0;
  std::vector<std::pair<std::weak_ptr<const Buffer>, DType>> buffers_;
};

/// A parameter in fp32 and, when activations are bf16, the rounded copy that convolutions and GEMMs read.
class ParameterTensor final : public DeviceTensor {
 public:
  /// `copies` may be null.
  ParameterTensor(std::shared_ptr<ArenaLayout> layout, std::size_t index,
                  const std::shared_ptr<const Buffer>& values, const std::shared_ptr<const Buffer>& copies);

  /// This tensor, or its bf16 copy.
  DeviceTensor& compute_copy() { return copy_ ? *copy_ : *this; }

  void order_columns(const MemoryOrder& order, cudaStream_t stream) {
    layout_->order_columns(index_, order, stream);
  }

  void write(std::span<const double> values, cudaStream_t stream) override;

 private:
  std::shared_ptr<ArenaLayout> layout_;
  std::size_t index_;
  std::shared_ptr<DeviceTensor> copy_;
};

/// The tensor in the type that products are computed in.
DeviceTensor& compute_copy(const TensorPtr& parameter);

/// Throws UsageError unless the parameter is this backend's, lies in `computed` or has a copy in it, and has
/// a gradient of fp32 or none.
void require_parameter(const std::string& what, const Variable& parameter, DType computed);

/// Makes the columns of a Linear's weight lie in memory as its inputs do. Throws UsageError if they cannot:
/// the weight is no parameter, or another Linear reads it in another order.
void order_columns(const Variable& weight, const MemoryOrder& order, cudaStream_t stream);

class DeviceParameters final : public ParameterArena {
 public:
  DeviceParameters(const Context& context, std::span<const Shape> shapes, bool with_gradients);

  std::int64_t count() const { return layout_->count(); }  // with gaps; they stay zero
  /// Where a parameter begins, in elements.
  std::int64_t begin_of(std::size_t parameter) const {
    return static_cast<std::int64_t>(layout_->offset(parameter, DType::float32) / sizeof(float));
  }
  float* values() const { return values_->as<float>(); }
  float* gradients() const { return gradients_ ? gradients_->as<float>() : nullptr; }  // null: without
  __nv_bfloat16* copies() const { return copies_ ? copies_->as<__nv_bfloat16>() : nullptr; }

  /// `memory`, count() floats in the order of values(), as one tensor a parameter in the parameter's memory
  /// order: an optimizer's state. Memory that was viewed once is reordered with the parameters.
  std::vector<TensorPtr> tensors_over(const std::shared_ptr<const Buffer>& memory) const;

 private:
  std::shared_ptr<ArenaLayout> layout_;
  std::shared_ptr<const Buffer> values_;
  std::shared_ptr<const Buffer> gradients_;
  std::shared_ptr<const Buffer> copies_;
};

}  // namespace convoy::cuda
