// Max and average pooling as cuDNN's resample operations. Max pooling keeps the place of each maximum as
// INT8.
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
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

class PoolOperation final : public Operation {
 public:
  template <typename Pool>
  PoolOperation(Context& context, const Pool& layer, const Variable& x) {
    const Shape& shape = x.value->shape();
    const Shape y = output_shape(layer, shape);
    const bool keeps_index = pooling_of(layer) == Pooling::max;
    output_ = context.make_activation(y, x.grad != nullptr);
    const DType type = device(x.value).dtype();

    std::vector<dnn::Binding> bindings = {{Role::x, device(x.value).data()},
                                          {Role::y, device(output_.value).data()}};
    if (keeps_index) {
      index_ = Buffer(static_cast<std::size_t>(y.count()));
      bindings.push_back({Role::index, index_.data()});
    }
    PlanStore& store = context.plan_store();
    forward_ = store.request(pool_forward_graph(layer, shape, type), std::move(bindings));
    if (!x.grad) return;
    bindings = {{Role::dy, device(output_.grad).data()}, {Role::dx, device(x.grad).data()}};
    if (keeps_index) bindings.push_back({Role::index, index_.data()});
    backward_ = store.request(pool_backward_graph(layer, shape, type), std::move(bindings));
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
  require_own("MaxPool2d: input", x, context_.activation());
  return std::make_unique<PoolOperation>(context_, layer, x);
}

OperationPtr CudaBackend::make_avg_pool(const AvgPool2d& layer, const Variable& x) {
  require_own("AvgPool2d: input", x, context_.activation());
  return std::make_unique<PoolOperation>(context_, layer, x);
}

}  // namespace convoy::cuda
