// Max and average pooling as cuDNN's resample operations. Max pooling keeps the place of each maximum as
// INT8.
#include "engine/backend/checks.h"
#include "engine/backend/cuda/graphs.h"
#include "engine/backend/cuda/operations.h"

namespace convoy::cuda {

using graph::Graph;
using graph::Pooling;
using graph::Role;

namespace {

graph::Window window_of(const PoolWindow& window) {
  return {.kernel = window.kernel, .padding = window.padding, .stride = window.stride};
}

}  // namespace

graph::Graph pool_forward_graph(const PoolWindow& window, Pooling pooling, const Shape& x,
                                graph::DataType type) {
  Graph g(pooling == Pooling::max ? "max_pool.forward" : "avg_pool.forward");
  pool_output(g.name(), window, x);  // refuses what does not fit
  const auto out = g.pool(g.input(Role::x, x, type), window_of(window), pooling);
  g.output(out.y, Role::y, type);
  if (pooling == Pooling::max) g.output(out.index, Role::index);
  return g;
}

graph::Graph pool_backward_graph(const PoolWindow& window, Pooling pooling, const Shape& x,
                                 graph::DataType type) {
  Graph g(pooling == Pooling::max ? "max_pool.backward" : "avg_pool.backward");
  const Shape y = pool_output(g.name(), window, x);
  const graph::Value dy = g.input(Role::dy, y, type);
  const graph::Value index = pooling == Pooling::max ? g.input(Role::index, y, graph::DataType::int8) : dy;
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
    const graph::DataType type = device(x.value).graph_type();

    std::vector<graph::Binding> bindings = {{Role::x, device(x.value).data()},
                                            {Role::y, device(output_.value).data()}};
    if (pooling == Pooling::max) {
      index_ = Buffer(static_cast<std::size_t>(y.count()));
      bindings.push_back({Role::index, index_.data()});
    }
    forward_.emplace(context, pool_forward_graph(window, pooling, shape, type), std::move(bindings));
    if (!x.grad) return;
    bindings = {{Role::dy, device(output_.grad).data()}, {Role::dx, device(x.grad).data()}};
    if (pooling == Pooling::max) bindings.push_back({Role::index, index_.data()});
    backward_.emplace(context, pool_backward_graph(window, pooling, shape, type), std::move(bindings));
  }

  void forward(Phase) override { forward_->execute(); }
  void backward() override {
    if (backward_) backward_->execute();
  }

 private:
  Buffer index_;  // max pooling only
  std::optional<GraphOperation> forward_;
  std::optional<GraphOperation> backward_;
};

}  // namespace

OperationPtr make_pool(Context& context, const PoolWindow& window, Pooling pooling, const Variable& x) {
  return std::make_unique<PoolOperation>(context, window, pooling, x);
}

}  // namespace convoy::cuda
