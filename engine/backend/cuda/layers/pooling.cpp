// Max and average pooling as cuDNN's resample operations, or by own kernels. Max pooling keeps the place of
// each maximum in a byte; what it means is cuDNN's own matter, so that own kernels do both directions or
// none.
#include "kernels/pooling.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/image_shapes.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/model/layer_rules.h"

namespace convoy::cuda {

using dnn::OperationGraph;
using dnn::Pooling;
using dnn::Role;

namespace {

Pooling pooling_of(const MaxPool2d&) { return Pooling::max; }

Pooling pooling_of(const AvgPool2d& layer) {
  return layer.count_include_pad ? Pooling::average_include_padding : Pooling::average_exclude_padding;
}

template <typename Pool>
OperationGraph forward_graph(const Pool& layer, const Shape& x, DType type) {
  output_shape(layer, x);  // refuses what does not fit
  const Pooling pooling = pooling_of(layer);
  OperationGraph g(pooling == Pooling::max ? "max_pool.forward" : "avg_pool.forward");
  const auto out = g.pool(g.input(Role::x, x, type), window_of(layer), pooling);
  g.output(out.y, Role::y, type);
  if (pooling == Pooling::max) g.output(out.index, Role::index);
  return g;
}

template <typename Pool>
OperationGraph backward_graph(const Pool& layer, const Shape& x, DType type) {
  const Shape y = output_shape(layer, x);
  const Pooling pooling = pooling_of(layer);
  OperationGraph g(pooling == Pooling::max ? "max_pool.backward" : "avg_pool.backward");
  const dnn::Value dy = g.input(Role::dy, y, type);
  const dnn::Value index = pooling == Pooling::max ? g.input(Role::index, y, DType::int8) : dy;
  g.output(g.pool_backward(dy, index, window_of(layer), pooling, x), Role::dx, type);
  return g;
}

}  // namespace

OperationGraph pool_forward_graph(const MaxPool2d& layer, const Shape& x, DType type) {
  return forward_graph(layer, x, type);
}
OperationGraph pool_forward_graph(const AvgPool2d& layer, const Shape& x, DType type) {
  return forward_graph(layer, x, type);
}
OperationGraph pool_backward_graph(const MaxPool2d& layer, const Shape& x, DType type) {
  return backward_graph(layer, x, type);
}
OperationGraph pool_backward_graph(const AvgPool2d& layer, const Shape& x, DType type) {
  return backward_graph(layer, x, type);
}

namespace {

/// The own kernel that calls `pool` with what is bound to the two roles.
template <typename Function>
dnn::OwnKernel avg_pool_kernel(const kernels::PoolShape& shape, bool count_include_pad, Role from, Role to,
                               Function pool) {
  if (!kernels::pool_fits(shape)) return {};
  return {.name = "average pool",
          .run =
              [=](const dnn::BoundMemory& memory, cudaStream_t stream) {
                pool(shape, {.from = memory[from], .to = memory[to], .count_include_pad = count_include_pad},
                     stream);
              },
          .preferred = shape.dtype == DType::bfloat16 ? "cuDNN's is wrong in bf16" : "",
          .only = shape.dtype == DType::bfloat16};
}

}  // namespace

bool has_max_pool_kernel(const MaxPool2d& layer, const Shape& x) {
  const kernels::PoolShape shape = pool_shape(layer, x, DType::float32);
  return kernels::pool_fits(shape) && shape.window.kernel.count() <= kernels::kMaxPoolTaps;
}

bool trains_max_pool_by_cudnn(const MaxPool2d& layer) {
  constexpr std::int64_t kTapsOfASignedByte = 128;
  const std::int64_t taps = layer.kernel_size[0] * layer.kernel_size[1];
  if (taps <= kernels::kMaxPoolTaps) return taps <= kTapsOfASignedByte;
  throw UsageError(fmt::format(
      "MaxPool2d: on CUDA a window that is trained has at most {} pixels, this one {}x{}: pool in "
      "two steps",
      kernels::kMaxPoolTaps, layer.kernel_size[0], layer.kernel_size[1]));
}

dnn::OwnKernel avg_pool_forward_kernel(const AvgPool2d& layer, const Shape& x, DType type) {
  return avg_pool_kernel(pool_shape(layer, x, type), layer.count_include_pad, Role::x, Role::y,
                         kernels::avg_pool_forward);
}

dnn::OwnKernel avg_pool_backward_kernel(const AvgPool2d& layer, const Shape& x, DType type) {
  return avg_pool_kernel(pool_shape(layer, x, type), layer.count_include_pad, Role::dy, Role::dx,
                         kernels::avg_pool_backward);
}

namespace {

class AvgPoolOperation final : public Operation {
 public:
  AvgPoolOperation(Context& context, const AvgPool2d& layer, const Variable& x) {
    const Shape& shape = x.value->shape();
    output_ = context.make_activation(output_shape(layer, shape), x.grad != nullptr);
    const DType type = device(x.value).dtype();
    PlanStore& store = context.plan_store();
    forward_ = store.request(pool_forward_graph(layer, shape, type),
                             {{Role::x, device(x.value).data()}, {Role::y, device(output_.value).data()}},
                             avg_pool_forward_kernel(layer, shape, type));
    if (!x.grad) return;
    backward_ = store.request(pool_backward_graph(layer, shape, type),
                              {{Role::dy, device(output_.grad).data()}, {Role::dx, device(x.grad).data()}},
                              avg_pool_backward_kernel(layer, shape, type));
  }

  void forward(Phase) override { forward_->execute(); }
  void backward() override {
    if (backward_) backward_->execute();
  }

 private:
  std::shared_ptr<dnn::BoundGraph> forward_;   // null where cuDNN is not asked, and so the next
  std::shared_ptr<dnn::BoundGraph> backward_;  // null without a gradient, too
};

class MaxPoolOperation final : public Operation {
 public:
  MaxPoolOperation(Context& context, const MaxPool2d& layer, const Variable& x)
      : context_(context),
        x_(x),
        shape_(pool_shape(layer, x.value->shape(), device(x.value).dtype())),
        has_own_kernel_(has_max_pool_kernel(layer, x.value->shape())),
        index_(static_cast<std::size_t>(output_shape(layer, x.value->shape()).count())) {
    const Shape& shape = x.value->shape();
    output_ = context.make_activation(output_shape(layer, shape), x.grad != nullptr);
    if (x.grad && !trains_max_pool_by_cudnn(layer)) {
      report_own_kernel();
      return;
    }
    PlanStore& store = context.plan_store();
    forward_ = store.request(pool_forward_graph(layer, shape, shape_.dtype),
                             {{Role::x, device(x.value).data()},
                              {Role::y, device(output_.value).data()},
                              {Role::index, index_.data()}},
                             own_kernel([this] {
                               if (backward_) context_.plan_store().do_by_own_kernel(*backward_);
                             }));
    if (!x.grad) return;
    backward_ = store.request(pool_backward_graph(layer, shape, shape_.dtype),
                              {{Role::dy, device(output_.grad).data()},
                               {Role::dx, device(x.grad).data()},
                               {Role::index, index_.data()}},
                              own_kernel([this] { context_.plan_store().do_by_own_kernel(*forward_); }));
  }

  void forward(Phase) override {
    if (forward_ && (forward_->available() || !has_own_kernel_)) return forward_->execute();
    kernels::max_pool_forward(
        shape_,
        {.x = device(x_.value).data(), .y = device(output_.value).data(), .index = index_.as<std::uint8_t>()},
        context_.stream());
  }

  void backward() override {
    if (!x_.grad) return;
    if (backward_ && (backward_->available() || !has_own_kernel_)) return backward_->execute();
    kernels::max_pool_backward(
        shape_,
        {.dy = device(output_.grad).data(), .index = index_.as<std::uint8_t>(), .dx = device(x_.grad).data()},
        context_.stream());
  }

 private:
  void report_own_kernel() const {
    for (const char* pass : {"forward", "backward"}) {
      context_.add_row({.operation = fmt::format("max_pool.{} of {}", pass, x_.value->shape().str()),
                        .realisation = Realisation::own_kernel,
                        .realised_by = "own kernel: max pool",
                        .notes = "deterministic, more pixels in a window than cuDNN's index tells apart"});
    }
  }

  dnn::OwnKernel own_kernel(std::function<void()> make) const {
    if (!has_own_kernel_) return {};
    return {.name = "max pool", .make = std::move(make)};
  }

  Context& context_;
  Variable x_;
  kernels::PoolShape shape_;
  bool has_own_kernel_;
  Buffer index_;
  std::shared_ptr<dnn::BoundGraph> forward_;
  std::shared_ptr<dnn::BoundGraph> backward_;  // null without a gradient
};

}  // namespace

OperationPtr CudaBackend::make_max_pool(const MaxPool2d& layer, const Variable& x) {
  require_own("MaxPool2d: input", x, context_.activation());
  return std::make_unique<MaxPoolOperation>(context_, layer, x);
}

OperationPtr CudaBackend::make_avg_pool(const AvgPool2d& layer, const Variable& x) {
  require_own("AvgPool2d: input", x, context_.activation());
  return std::make_unique<AvgPoolOperation>(context_, layer, x);
}

}  // namespace convoy::cuda
