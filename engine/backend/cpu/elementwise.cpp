// ReLU, addition and fork: elementwise_loops.h.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {
namespace {

class ReluOperation final : public Operation {
 public:
  ReluOperation(Device& device, Bound x)
      : x_(std::move(x)),
        y_("ReLU: output",
           output_ = make_variable(device, x_.shape(), x_.value->layout(), x_.grad != nullptr)) {}

  void forward(Phase) override {
    combine_all(mask_by_relu, x_.value->floats(), x_.value->floats(), y_.value->floats());
  }

  void backward() override {
    if (x_.grad) combine_all(mask_by_relu, x_.value->floats(), y_.grad->floats(), x_.grad->floats());
  }

 private:
  Bound x_, y_;
};

/// The sum has the layout of the first summand, whose gradient is the sum's own. That is safe because both
/// have one consumer: between the sum's consumer, which writes the gradient, and the summand's producer,
/// which reads it, nobody writes there.
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
    const Layout copied = dims == a_.value->dims() ? a_.value->layout() : plain_layout(dims);
    gradient_ = Relaid::input(device, y_.grad->memory(), copied);
    copy_ = copy_task(device, gradient_->memory(), b_.grad->memory());
  }

  void forward(Phase) override {
    b_like_a_.copy();
    const auto* b = static_cast<const float*>(b_like_a_.memory().get_data_handle());
    const std::span<float> y = y_.value->floats();
    combine_all(add, a_.value->floats(), {b, y.size()}, y);
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

class ForkOperation final : public Fork {
 public:
  ForkOperation(Device& device, const Variable& x) : x_("fork: input", x) {
    output_ = second_ = x;
    if (!x_.grad) return;
    for (Variable* branch : {&output_, &second_}) {
      branch->grad = std::make_shared<CpuTensor>(device, x_.shape(), x_.value->layout());
    }
    first_grad_ = as_floats("fork: gradient", output_.grad);
    second_grad_ = as_floats("fork: gradient", second_.grad);
  }

  void forward(Phase) override {}  // both branches read x itself

  void backward() override {
    if (x_.grad) combine_all(add, first_grad_->floats(), second_grad_->floats(), x_.grad->floats());
  }

 private:
  Bound x_;
  std::shared_ptr<CpuTensor> first_grad_, second_grad_;
};

}  // namespace

OperationPtr CpuBackend::make_relu(const Variable& x) {
  return std::make_unique<ReluOperation>(device_, Bound("ReLU: input", x));
}

OperationPtr CpuBackend::make_add(const Variable& a, const Variable& b) {
  Bound bound_a("add: first input", a), bound_b("add: second input", b);
  check_add(a, b);
  return std::make_unique<AddOperation>(device_, std::move(bound_a), std::move(bound_b));
}

std::unique_ptr<Fork> CpuBackend::make_fork(const Variable& x) {
  return std::make_unique<ForkOperation>(device_, x);
}

}  // namespace convoy::cpu
