// ReLU, addition and fork: loops over memory in whatever order it is. A blocked layout's padding is zero and
// stays zero.
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {
namespace {

/// destination[i] = value(i)
template <typename Value>
void fill(std::span<float> destination, Value value) {
  const auto count = static_cast<std::int64_t>(destination.size());
  float* to = destination.data();
#pragma omp parallel for simd schedule(static) if (count >= kParallelFrom)
  for (std::int64_t i = 0; i < count; ++i) to[i] = value(i);
}

void add(std::span<const float> a, std::span<const float> b, std::span<float> sum) {
  fill(sum, [p = a.data(), q = b.data()](std::int64_t i) { return p[i] + q[i]; });
}

class ReluOperation final : public Operation {
 public:
  ReluOperation(Device& device, Bound x)
      : x_(std::move(x)),
        y_("ReLU: output",
           output_ = make_variable(device, x_.shape(), x_.value->layout(), x_.grad != nullptr)) {}

  void forward(Phase) override {
    fill(y_.value->floats(),
         [x = x_.value->floats().data()](std::int64_t i) { return relu_passes(x[i]) ? x[i] : 0.0f; });
  }

  void backward() override {
    if (!x_.grad) return;
    fill(x_.grad->floats(), [x = x_.value->floats().data(), dy = y_.grad->floats().data()](std::int64_t i) {
      return relu_passes(x[i]) ? dy[i] : 0.0f;
    });
  }

 private:
  Bound x_, y_;
};

class AddOperation final : public Operation {
 public:
  AddOperation(Device& device, Bound a, Bound b)
      : a_(std::move(a)),
        b_(std::move(b)),
        y_("add: output",
           output_ = make_variable(device, a_.shape(), a_.value->layout(), a_.grad || b_.grad)),
        b_like_a_(Relaid::input(device, b_.value->memory(), a_.value->layout())) {
    for (const Bound* summand : {&a_, &b_}) {
      if (summand->grad) copies_.push_back(copy_task(device, y_.grad->memory(), summand->grad->memory()));
    }
  }

  void forward(Phase) override {
    b_like_a_.copy();
    const auto* b = static_cast<const float*>(b_like_a_.memory().get_data_handle());
    const std::span<float> y = y_.value->floats();
    add(a_.value->floats(), {b, y.size()}, y);
  }

  void backward() override {
    for (Task& copy : copies_) copy.run();
  }

 private:
  Bound a_, b_, y_;
  Relaid b_like_a_;
  std::vector<Task> copies_;  // of the output's gradient to the summands'
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
    if (x_.grad) add(first_grad_->floats(), second_grad_->floats(), x_.grad->floats());
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
  require_shape("add: second input", bound_b.shape(), bound_a.shape());
  return std::make_unique<AddOperation>(device_, std::move(bound_a), std::move(bound_b));
}

std::unique_ptr<Fork> CpuBackend::make_fork(const Variable& x) {
  return std::make_unique<ForkOperation>(device_, x);
}

}  // namespace convoy::cpu
