// Trainable tensors in one flat arena each for values and gradients, so that one launch updates a whole
// model.
#pragma once

#include <vector>

#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// A parameter in fp32 and, when activations are bf16, the rounded copy that convolutions and GEMMs read.
class ParameterTensor final : public DeviceTensor {
 public:
  ParameterTensor(const Shape& shape, std::shared_ptr<const Buffer> values, std::int64_t offset,
                  std::shared_ptr<const Buffer> copies);

  /// This tensor, or its bf16 copy.
  DeviceTensor& compute_copy() { return copy_ ? *copy_ : *this; }

  void write(std::span<const double> values, cudaStream_t stream) override;

 private:
  std::unique_ptr<DeviceTensor> copy_;
};

/// The tensor in the type that products are computed in.
DeviceTensor& compute_copy(const TensorPtr& parameter);

class DeviceParameters final : public ParameterArena {
 public:
  DeviceParameters(const Context& context, std::span<const Shape> shapes, bool with_gradients);

  std::int64_t count() const { return count_; }  // with the gaps that align each tensor; they stay zero
  float* values() const { return values_->as<float>(); }
  float* gradients() const { return gradients_ ? gradients_->as<float>() : nullptr; }  // null: without
  __nv_bfloat16* copies() const { return copies_ ? copies_->as<__nv_bfloat16>() : nullptr; }

  /// `memory`, of count() floats, as one tensor a parameter, in the parameter's memory order.
  std::vector<TensorPtr> tensors_over(const std::shared_ptr<const Buffer>& memory) const;

 private:
  std::int64_t count_ = 0;
  std::vector<std::int64_t> offsets_;  // of the parameters, in elements
  std::shared_ptr<const Buffer> values_;
  std::shared_ptr<const Buffer> gradients_;
  std::shared_ptr<const Buffer> copies_;
};

}  // namespace convoy::cuda
