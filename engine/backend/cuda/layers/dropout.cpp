// Dropout, by an own kernel that draws the mask anew on the way back instead of keeping it.
#include <cmath>

#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/step/counter.h"
#include "engine/model/layer_rules.h"
#include "kernels/elementwise.h"

namespace convoy::cuda {
namespace {

// Draws are floats, so comparing them with this is comparing them with the double itself.
float smallest_float_from(double value) {
  const auto nearest = static_cast<float>(value);
  return static_cast<double>(nearest) < value ? std::nextafter(nearest, 2.0f) : nearest;
}

class DropoutOperation final : public Operation {
 public:
  DropoutOperation(Context& context, const Dropout& layer, const Variable& x,
                   const kernels::DropoutOptions& options)
      : context_(context), x_(x), options_(options) {
    output_shape(layer, x.value->shape());  // refuses what cannot be
    options_.p = smallest_float_from(layer.p);
    output_ = make_output_like(x.value, x.grad != nullptr);
  }

  void forward(Phase phase) override {
    if (phase == Phase::training) return apply(device(x_.value), device(output_.value));
    copy(device(x_.value), device(output_.value), context_.stream());
  }

  void backward() override {
    if (x_.grad) apply(device(output_.grad), device(x_.grad));
  }

 private:
  void apply(const DeviceTensor& in, const DeviceTensor& out) const {
    kernels::dropout({in.data(), out.data(), in.dtype(), in.shape().count(), in.order()}, options_,
                     context_.stream());
  }

  Context& context_;
  Variable x_;
  kernels::DropoutOptions options_;
};

}  // namespace

OperationPtr CudaBackend::make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                                       const StepCounter& counter) {
  require_own("Dropout: input", x, context_.activation());
  const kernels::DropoutOptions options{.random = random, .step = device_step(counter)};
  return std::make_unique<DropoutOperation>(context_, layer, x, options);
}

}  // namespace convoy::cuda
