// ReLU and the two ends of a residual: own kernels, one launch each way.
#include "kernels/elementwise.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"

namespace convoy::cuda {
namespace {

class ReluOperation final : public Operation {
 public:
  ReluOperation(Context& context, const Variable& x) : context_(context), x_(x) {
    output_ = make_output_like(x.value, x.grad != nullptr);
  }

  void forward(Phase) override {
    kernels::relu_forward(device(x_.value).data(), device(output_.value).data(), element(), count(),
                          context_.stream());
  }

  void backward() override {
    if (!x_.grad) return;
    kernels::relu_backward(
        {device(output_.value).data(), device(output_.grad).data(), device(x_.grad).data()}, element(),
        count(), context_.stream());
  }

 private:
  DType element() const { return device(x_.value).dtype(); }
  std::int64_t count() const { return x_.value->shape().count(); }

  Context& context_;
  Variable x_;
};

/// The sum lies in memory as its first summand, whose gradient is the sum's own. That is safe because both
/// have one consumer: between the sum's consumer, which writes the gradient (a loss does so on the way
/// forward), and the summand's producer, which reads it, nobody writes there; no operation changes its
/// output's gradient.
class AddOperation final : public Operation {
 public:
  AddOperation(Context& context, const Variable& a, const Variable& b)
      : context_(context), a_(a), b_(b), b_like_a_(b.value) {
    check_add(a, b);
    output_ = make_output_like(a.value, !a.grad && b.grad);
    if (a.grad) output_.grad = a.grad;
    const MemoryOrder& order = device(a.value).order();
    if (device(b.value).order() != order) b_like_a_ = make_like(device(b.value), order);
  }

  void forward(Phase) override {
    if (b_like_a_ != b_.value) copy(device(b_.value), device(b_like_a_), context_.stream());
    kernels::add({device(a_.value).data(), device(b_like_a_).data(), device(output_.value).data()},
                 device(a_.value).dtype(), a_.value->shape().count(), context_.stream());
  }

  void backward() override {
    if (b_.grad) copy(device(output_.grad), device(b_.grad), context_.stream());
  }

 private:
  Context& context_;
  Variable a_;
  Variable b_;
  TensorPtr b_like_a_;  // b's value in the memory order of a's
};

class ForkOperation final : public Fork {
 public:
  ForkOperation(Context& context, const Variable& x) : context_(context), x_(x) {
    const auto gradient = [&]() -> TensorPtr { return x.grad ? make_like(device(x.grad)) : nullptr; };
    output_ = {x.value, gradient()};
    second_ = {x.value, gradient()};
  }

  void forward(Phase) override {}

  void backward() override {
    if (!x_.grad) return;
    kernels::add({device(output_.grad).data(), device(second_.grad).data(), device(x_.grad).data()},
                 device(x_.grad).dtype(), x_.value->shape().count(), context_.stream());
  }

 private:
  Context& context_;
  Variable x_;
};

}  // namespace

OperationPtr CudaBackend::make_relu(const Variable& x) {
  require_own("ReLU: input", x, context_.activation());
  return std::make_unique<ReluOperation>(context_, x);
}

OperationPtr CudaBackend::make_add(const Variable& a, const Variable& b) {
  require_own("add: first input", a, context_.activation());
  require_own("add: second input", b, context_.activation());
  return std::make_unique<AddOperation>(context_, a, b);
}

std::unique_ptr<Fork> CudaBackend::make_fork(const Variable& x) {
  require_own("fork: input", x, context_.activation());
  return std::make_unique<ForkOperation>(context_, x);
}

}  // namespace convoy::cuda
