// ReLU, dropout, and the two ends of a residual: own kernels, one launch each way.
#include "kernels/elementwise.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/backend/checks.h"
#include "engine/backend/cuda/operations.h"
#include "engine/core/error.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

// Draws are floats, so comparing them with this is comparing them with the double itself.
float smallest_float_from(double value) {
  const auto nearest = static_cast<float>(value);
  return static_cast<double>(nearest) < value ? std::nextafter(nearest, 2.0f) : nearest;
}

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
  kernels::Element element() const { return device(x_.value).element(); }
  std::int64_t count() const { return x_.value->shape().count(); }

  Context& context_;
  Variable x_;
};

class DropoutOperation final : public Operation {
 public:
  DropoutOperation(Context& context, const Dropout& layer, const Variable& x,
                   const kernels::DropoutOptions& options)
      : context_(context), x_(x), options_(options) {
    if (!(layer.p >= 0.0 && layer.p <= 1.0)) {
      throw UsageError(fmt::format("Dropout: p is {}, must be in [0, 1]", layer.p));
    }
    options_.p = smallest_float_from(layer.p);
    output_ = context.make_activation(x.value->shape(), x.grad != nullptr);
    const Shape& shape = x.value->shape();
    shape_ = {shape.count(), shape.rank() > 1 ? shape[1] : 1, shape.rank() == 4 ? shape[2] * shape[3] : 1};
  }

  void forward(Phase phase) override {
    if (phase == Phase::training) return apply(device(x_.value), device(output_.value));
    CONVOY_CUDA(cudaMemcpyAsync(device(output_.value).data(), device(x_.value).data(),
                                device(x_.value).bytes(), cudaMemcpyDeviceToDevice, context_.stream()));
  }

  void backward() override {
    if (x_.grad) apply(device(output_.grad), device(x_.grad));
  }

 private:
  void apply(const DeviceTensor& in, const DeviceTensor& out) const {
    kernels::dropout({in.data(), out.data(), in.element(), shape_}, options_, context_.stream());
  }

  Context& context_;
  Variable x_;
  kernels::DropoutOptions options_;
  kernels::LogicalShape shape_;
};

class AddOperation final : public Operation {
 public:
  AddOperation(Context& context, const Variable& a, const Variable& b) : context_(context), a_(a), b_(b) {
    require_shape("Add", b.value->shape(), a.value->shape());
    output_ = context.make_activation(a.value->shape(), a.grad || b.grad);
  }

  void forward(Phase) override {
    kernels::add({device(a_.value).data(), device(b_.value).data(), device(output_.value).data()},
                 device(a_.value).element(), a_.value->shape().count(), context_.stream());
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
                 device(x_.grad).element(), x_.value->shape().count(), context_.stream());
  }

 private:
  Context& context_;
  Variable x_;
};

}  // namespace

OperationPtr make_relu(Context& context, const Variable& x) {
  return std::make_unique<ReluOperation>(context, x);
}

OperationPtr make_dropout(Context& context, const Dropout& layer, const Variable& x, RandomStream random,
                          const StepCounter& counter) {
  const kernels::DropoutOptions options{.random = random, .step = device_step(counter)};
  return std::make_unique<DropoutOperation>(context, layer, x, options);
}

OperationPtr make_add(Context& context, const Variable& a, const Variable& b) {
  return std::make_unique<AddOperation>(context, a, b);
}

std::unique_ptr<Fork> make_fork(Context& context, const Variable& x) {
  return std::make_unique<ForkOperation>(context, x);
}

}  // namespace convoy::cuda
