// Max and average pooling as cuDNN's resample operations. Max pooling keeps the place of each maximum as
// INT8.
#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/operation_graphs.h"

namespace convoy::cuda {

using dnn::OperationGraph;
using dnn::Pooling;
using dnn::Role;

namespace {

dnn::Window window_of(const PoolWindow& window) {
  return {.kernel = window.kernel, .padding = window.padding, .stride = window.stride};
}

}  // namespace

dnn::OperationGraph pool_forward_graph(const PoolWindow& window, Pooling pooling, const Shape& x,
                                       DType type) {
  OperationGraph g(pooling == Pooling::max ? "max_pool.forward" : "avg_pool.forward");
  pool_output(g.name(), window, x);  // refuses what does not fit
  const auto out = g.pool(g.input(Role::x, x, type), window_of(window), pooling);
  g.output(out.y, Role::y, type);
  if (pooling == Pooling::max) g.output(out.index, Role::index);
  return g;
}

dnn::OperationGraph pool_backward_graph(const PoolWindow& window, Pooling pooling, const Shape& x,
                                        DType type) {
  OperationGraph g(pooling == Pooling::max ? "max_pool.backward" : "avg_pool.backward");
  const Shape y = pool_output(g.name(), window, x);
  const dnn::Value dy = g.input(Role::dy, y, type);
  const dnn::Value index = pooling == Pooling::max ? g.input(Role::index, y, DType::int8) : dy;
  g.output(g.pool_backward(dy, index, window_of(window), pooling, x), Role::dx, type);
  return g;
}

namespace {

class PoolOperation final : public Operation {
 public:
  PoolOperation(Context& context, const PoolWindow& window, Pooling pooling, const Variable& x) {
    const Shape& shape = x.value->shape();
    const Shape y = pool_output(pooling == Pooling::max ? "MaxPool2d" : "AvgPool2d", window, shape);
    output_ = context.make_activation(y, x.grad != nullptr);
    const DType type = device(x.value).dtype();

    std::vector<dnn::Binding> bindings = {{Role::x, device(x.value).data()},
                                          {Role::y, device(output_.value).data()}};
    if (pooling == Pooling::max) {
      index_ = Buffer(static_cast<std::size_t>(y.count()));
      bindings.push_back({Role::index, index_.data()});
    }
    dnn::PlanStore& store = context.plan_store();
    forward_ = store.request(pool_forward_graph(window, pooling, shape, type), std::move(bindings));
    if (!x.grad) return;
    bindings = {{Role::dy, device(output_.grad).data()}, {Role::dx, device(x.grad).data()}};
    if (pooling == Pooling::max) bindings.push_back({Role::index, index_.data()});
    backward_ = store.request(pool_backward_graph(window, pooling, shape, type), std::move(bindings));
  }

  void forward(Phase) override { forward_->execute(); }
  void backward() override {
    if (backward_) backward_->execute();
  }

 private:
  Buffer index_;  // max pooling only
  std::shared_ptr<dnn::BoundGraph> forward_;
  std::shared_ptr<dnn::BoundGraph> backward_;  // null without a gradient
};

}  // namespace

OperationPtr CudaBackend::make_max_pool(const MaxPool2d& layer, const Variable& x) {
  require_own("MaxPool2d: input", x);
  return std::make_unique<PoolOperation>(context_, pool_window(layer), Pooling::max, x);
}

OperationPtr CudaBackend::make_avg_pool(const AvgPool2d& layer, const Variable& x) {
  require_own("AvgPool2d: input", x);
  return std::make_unique<PoolOperation>(
      context_, pool_window(layer),
      layer.count_include_pad ? Pooling::average_include_padding : Pooling::average_exclude_padding, x);
}

}  // namespace convoy::cuda
