// Two operations, one behind the other, as one.
#pragma once

#include <memory>
#include <utility>

#include "engine/backend/backend.h"

namespace convoy {

/// `second` reads what `first` puts out.
class Sequence final : public Operation {
 public:
  Sequence(OperationPtr first, OperationPtr second) : first_(std::move(first)), second_(std::move(second)) {
    output_ = second_->output();
  }

  void forward(Phase phase) override {
    first_->forward(phase);
    second_->forward(phase);
  }
  void backward() override {
    second_->backward();
    first_->backward();
  }

 private:
  OperationPtr first_, second_;
};

/// What make_batch_norm_pool stands for, done by two operations of the same backend.
inline OperationPtr batch_norm_then_pool(Backend& backend, const BatchNorm2d& layer, const MaxPool2d& pool,
                                         const Variable& x, const BatchNormTensors& tensors) {
  OperationPtr norm = backend.make_batch_norm(layer, /*fuse_relu=*/true, x, tensors);
  OperationPtr max_pool = backend.make_max_pool(pool, norm->output());
  return std::make_unique<Sequence>(std::move(norm), std::move(max_pool));
}

}  // namespace convoy
