// Two operations, one behind the other, as one.
#pragma once

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

}  // namespace convoy
