// ReLU and the two ends of a residual: own kernels, one launch each way.
#include "kernels/elementwise.h"

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

class ReluOperation final : public Operation {
 public:
  ReluOperation(Context& context, const Variable& x) : context_(context), x_(x) {
    output_ = context.make_activation(x.value->shape(), x.grad != nullptr);
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

class AddOperation final : public Operation {
 public:
  AddOperation(Context& context, const Variable& a, const Variable& b) : context_(context), a_(a), b_(b) {
    require_shape("add: second input", b.value->shape(), a.value->shape());
    output_ = context.make_activation(a.value->shape(), a.grad || b.grad);
  }

  void forward(Phase) override {
    kernels::add({device(a_.value).data(), device(b_.value).data(), device(output_.value).data()},
                 device(a_.value).dtype(), a_.value->shape().count(), context_.stream());
  }

  void backward() override {
    for (const Variable* term : {&a_, &b_}) {
      if (!term->grad) continue;
      const DeviceTensor& dy = device(output_.grad);
      CONVOY_CUDA(cudaMemcpyAsync(device(term->grad).data(), dy.data(), dy.bytes(), cudaMemcpyDeviceToDevice,
                                  context_.stream()));
    }
  }

 private:
  Context& context_;
  Variable a_;
  Variable b_;
};

class ForkOperation final : public Fork {
 public:
  ForkOperation(Context& context, const Variable& x) : context_(context), x_(x) {
    const auto gradient = [&] {
      return x.grad ? context.make_activation(x.value->shape(), true).grad : nullptr;
    };
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
  require_own("ReLU: input", x);
  return std::make_unique<ReluOperation>(context_, x);
}

OperationPtr CudaBackend::make_add(const Variable& a, const Variable& b) {
  require_own("add: first input", a);
  require_own("add: second input", b);
  return std::make_unique<AddOperation>(context_, a, b);
}

std::unique_ptr<Fork> CudaBackend::make_fork(const Variable& x) {
  require_own("fork: input", x);
  return std::make_unique<ForkOperation>(context_, x);
}

}  // namespace convoy::cuda
