// ReLU, addition and fork: elementwise_loops.h.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {
namespace {

template <typename T>
class ReluOperation final : public Operation {
 public:
  ReluOperation(Device& device, Bound x)
      : x_(std::move(x)),
        y_("ReLU: output",
           output_ = make_variable(device, x_.shape(), x_.value->layout(), x_.grad != nullptr)) {}

  void forward(Phase) override {
    combine_all<T>(mask_by_relu, x_.value->template values<T>(), x_.value->template values<T>(),
                   y_.value->template values<T>());
  }

  void backward() override {
    if (x_.grad)
      combine_all<T>(mask_by_relu, x_.value->template values<T>(), y_.grad->template values<T>(),
                     x_.grad->template values<T>());
  }

 private:
  Bound x_, y_;
};

/// The sum has the layout of the first summand, whose gradient is the sum's own. That is safe because both
/// have one consumer: between the sum's consumer, which writes the gradient, and the summand's producer,
/// which reads it, nobody writes there.
template <typename T>
class AddOperation final : public Operation {
 public:
  AddOperation(Device& device, Bound a, Bound b)
      : a_(std::move(a)),
        b_(std::move(b)),
        b_like_a_(Relaid::input(device, b_.value->memory(), a_.value->layout())) {
    output_ = make_variable(device, a_.shape(), a_.value->layout(), !a_.grad && b_.grad);
    if (a_.grad) output_.grad = a_.grad;
    y_ = Bound("add: output", output_);
    if (!b_.grad) return;
    const Dims dims = b_.value->dims();
    const Layout copied =
        dims == a_.value->dims() ? a_.value->layout() : plain_layout(dims, b_.value->type());
    gradient_ = Relaid::input(device, y_.grad->memory(), copied);
    copy_ = copy_task(device, gradient_->memory(), b_.grad->memory());
  }

  void forward(Phase) override {
    b_like_a_.copy();
    const auto* b = static_cast<const T*>(b_like_a_.memory().get_data_handle());
    const std::span<T> y = y_.value->template values<T>();
    combine_all<T>(add, a_.value->template values<T>(), {b, y.size()}, y);
  }

  void backward() override {
    if (!copy_) return;
    gradient_->copy();
    copy_->run();
  }

 private:
  Bound a_, b_, y_;
  Relaid b_like_a_;
  std::optional<Relaid> gradient_;  // the output's, in the dimensions of the second summand's
  std::optional<Task> copy_;        // of it to the second summand's
};

template <typename T>
class ForkOperation final : public Fork {
 public:
  ForkOperation(Device& device, const Variable& x) : x_("fork: input", x) {
    output_ = second_ = x;
    if (!x_.grad) return;
    for (Variable* branch : {&output_, &second_}) {
      branch->grad = std::make_shared<CpuTensor>(device, x_.shape(), x_.value->layout());
    }
    first_grad_ = as_reals("fork: gradient", output_.grad);
    second_grad_ = as_reals("fork: gradient", second_.grad);
  }

  void forward(Phase) override {}  // both branches read x itself

  void backward() override {
    if (x_.grad)
      combine_all<T>(add, first_grad_->template values<T>(), second_grad_->template values<T>(),
                     x_.grad->template values<T>());
  }

 private:
  Bound x_;
  std::shared_ptr<CpuTensor> first_grad_, second_grad_;
};

}  // namespace

OperationPtr CpuBackend::make_relu(const Variable& x) {
  Bound bound("ReLU: input", x);
  return by_type(*bound.value, [&]<typename T>() -> OperationPtr {
    return std::make_unique<ReluOperation<T>>(device_, std::move(bound));
  });
}

OperationPtr CpuBackend::make_add(const Variable& a, const Variable& b) {
  Bound bound_a("add: first input", a), bound_b("add: second input", b);
  check_add(a, b);
  if (bound_a.value->type() != bound_b.value->type()) {
    throw UsageError("add: one input is of floats, the other of bf16");
  }
  return by_type(*bound_a.value, [&]<typename T>() -> OperationPtr {
    return std::make_unique<AddOperation<T>>(device_, std::move(bound_a), std::move(bound_b));
  });
}

std::unique_ptr<Fork> CpuBackend::make_fork(const Variable& x) {
  return by_type(*Bound("fork: input", x).value, [&]<typename T>() -> std::unique_ptr<Fork> {
    return std::make_unique<ForkOperation<T>>(device_, x);
  });
}

}  // namespace convoy::cpu
