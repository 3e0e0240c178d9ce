#include "tests/plans/graph_collector.h"

#include <set>

#include "convoy/error.h"
#include "convoy/fold.h"
#include "convoy/state.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
#include "engine/model/layer_rules.h"
#include "engine/train/network.h"

namespace convoy::test {
namespace {

using cuda::dnn::OperationGraph;

Variable variable(const Shape& shape, bool with_gradient) {
  return {std::make_shared<Tensor>(shape), with_gradient ? std::make_shared<Tensor>(shape) : nullptr};
}

class Nothing final : public Fork {
 public:
  explicit Nothing(Variable output, Variable second = {}) {
    output_ = std::move(output);
    second_ = std::move(second);
  }
  void forward(Phase) override {}
  void backward() override {}
};

class Arena final : public ParameterArena {
 public:
  Arena(std::span<const Shape> shapes, bool with_gradients) {
    for (const Shape& shape : shapes) variables_.push_back(variable(shape, with_gradients));
  }
};

class Counter final : public StepCounter {
 public:
  Counter() : StepCounter({}) {}
  void advance() override {}
  StepScalars scalars() const override { return {}; }
  void write(std::int64_t) override {}

 private:
  void follow(const StepTable&) override {}
};

// Refuses every layer, so that a collector says what it knows and a new layer without graphs needs no line.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
class NoLayers : public Backend {
 public:
#define CONVOY_LAYER_OPERATION \
  override { throw Error("graph_collector.cpp does not know this layer"); }
#include "engine/backend/layer_operations.inc"
#undef CONVOY_LAYER_OPERATION
};
#pragma GCC diagnostic pop

class GraphCollector final : public NoLayers {
 public:
  explicit GraphCollector(DType type) : type_(type) {}

  /// The graphs that were asked for, operation by operation.
  std::vector<std::vector<OperationGraph>> take() { return std::move(operations_); }

  Communicator& group() const override { return alone_; }
  bool syncs_batch_norm() const override { return false; }
  std::string name() const override { return "collector"; }
  std::string description() const override { return "writes down graphs"; }
  double epsilon() const override { return 0; }

  TensorPtr make_tensor(const Shape& shape, DType) override { return std::make_shared<Tensor>(shape); }
  TensorPtr make_activation(const Shape& shape) override { return std::make_shared<Tensor>(shape); }
  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override {
    return std::make_unique<Arena>(shapes, with_gradients);
  }
  std::vector<double> read(const Tensor&) const override { return {}; }
  void write(Tensor&, std::span<const double>) override {}
  Variable flatten(const Variable& x) override {
    return variable(output_shape(Flatten{}, x.value->shape()), x.grad != nullptr);
  }

  OperationPtr make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x, const Variable& weight,
                           const Variable&) override {
    const Shape& shape = x.value->shape();
    std::vector<OperationGraph> graphs = {cuda::conv2d_forward_graph(layer, fuse_relu, shape, type_)};
    if (weight.grad) graphs.push_back(cuda::conv2d_backward_weight_graph(layer, shape, type_));
    if (x.grad) graphs.push_back(cuda::conv2d_backward_data_graph(layer, shape, type_));
    return operation(output_shape(layer, shape), x.grad || weight.grad, std::move(graphs));
  }

  OperationPtr make_batch_norm(const BatchNorm2d&, bool relu, const Variable& x,
                               const BatchNormTensors& tensors) override {
    if (!x.grad && !tensors.weight.grad) return like(x);  // evaluation is an own kernel
    const Shape& shape = x.value->shape();
    return operation(shape, true,
                     {cuda::batch_norm_training_graph(shape, relu, type_),
                      cuda::batch_norm_backward_graph(shape, relu, type_)});
  }

  OperationPtr make_max_pool(const MaxPool2d& layer, const Variable& x) override { return pool(layer, x); }
  OperationPtr make_avg_pool(const AvgPool2d& layer, const Variable& x) override { return pool(layer, x); }

  // Own kernels and cuBLAS, no graphs.
  OperationPtr make_relu(const Variable& x) override { return like(x); }
  OperationPtr make_dropout(const Dropout&, const Variable& x, RandomStream, const StepCounter&) override {
    return like(x);
  }
  OperationPtr make_add(const Variable& a, const Variable&) override { return like(a); }
  OperationPtr make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                           const Variable&) override {
    return operation(output_shape(layer, x.value->shape()), x.grad || weight.grad, {});
  }
  std::unique_ptr<Fork> make_fork(const Variable& x) override {
    operations_.emplace_back();
    const Shape& shape = x.value->shape();
    return std::make_unique<Nothing>(variable(shape, true), variable(shape, true));
  }

  bool fuses(const MaxPool2d&) const override { return false; }  // what is fused has no graphs

  // A network asks for none of these.
  OperationPtr make_cross_entropy(const Variable&, TensorPtr, Metrics&, std::int64_t, double) override {
    return nullptr;
  }
  std::unique_ptr<Metrics> make_metrics() override { return nullptr; }
  std::unique_ptr<StepCounter> make_counter(const StepRule&) override { return nullptr; }
  std::unique_ptr<DeviceDataset> upload(const Dataset&) override { return nullptr; }
  OperationPtr make_batch(DeviceDataset&, TensorPtr, TensorPtr, const AugmentationSource&,
                          StepCounter*) override {
    return nullptr;
  }
  std::unique_ptr<Optimizer> make_optimizer(ParameterArena&, const StepCounter&, const OptimizerOptions&,
                                            const UpdateRule&) override {
    return nullptr;
  }
  std::unique_ptr<Optimizer> make_muon(ParameterArena&, const StepCounter&, const MuonOptions&,
                                       const UpdateRule&) override {
    return nullptr;
  }
  std::unique_ptr<GradientClip> make_gradient_clip(ParameterArena&, float) override { return nullptr; }
  void prepare() override {}
  std::unique_ptr<GradientSum> make_gradient_sum(ParameterArena&, bool) override { return nullptr; }
  std::unique_ptr<ParameterAverage> make_average(ParameterArena&) override { return nullptr; }
  std::unique_ptr<MovingAverage> make_moving_average(ParameterArena&, ParameterArena&, const StepCounter&,
                                                     double) override {
    return nullptr;
  }
  std::unique_ptr<Stager> make_stager(StagerSources) override { return nullptr; }
  std::unique_ptr<Replay> record(std::function<void()>) override { return nullptr; }
  std::int64_t steps_per_launch() const override { return 1; }
  void synchronize() override {}
  std::unique_ptr<TimeMark> mark() override { return nullptr; }
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter&) override { return nullptr; }
  MemoryUse memory() const override { return {}; }
  std::vector<PlanRow> plans() const override { return {}; }

 private:
  OperationPtr operation(const Shape& output, bool with_gradient, std::vector<OperationGraph> graphs) {
    operations_.push_back(std::move(graphs));
    return std::make_unique<Nothing>(variable(output, with_gradient));
  }

  OperationPtr like(const Variable& x) { return operation(x.value->shape(), x.grad != nullptr, {}); }

  template <typename Pool>
  OperationPtr pool(const Pool& layer, const Variable& x) {
    const Shape& shape = x.value->shape();
    std::vector<OperationGraph> graphs = {cuda::pool_forward_graph(layer, shape, type_)};
    if (x.grad) graphs.push_back(cuda::pool_backward_graph(layer, shape, type_));
    return operation(output_shape(layer, shape), x.grad != nullptr, std::move(graphs));
  }

  DType type_;
  mutable Alone alone_;
  std::vector<std::vector<OperationGraph>> operations_;  // one entry an operation, as in the network
};

}  // namespace

namespace {

std::vector<LayerGraph> graphs_of(const Model& model, const StateDict& state, bool with_gradients,
                                  std::int64_t batch, DType type) {
  GraphCollector collector(type);
  const Parameters parameters(collector, model, state, with_gradients);
  const Variable images = variable({batch, model.input[0], model.input[1], model.input[2]}, false);
  const Counter counter;
  const Network network(collector, model, parameters, images, {.counter = &counter});

  std::vector<LayerGraph> result;
  std::set<std::string> seen;
  auto operation = network.operations().begin();
  for (std::vector<OperationGraph>& graphs : collector.take()) {
    const std::string& layer = operation++->name;
    for (OperationGraph& graph : graphs) {
      if (seen.insert(graph.signature()).second) result.push_back({layer, std::move(graph)});
    }
  }
  return result;
}

}  // namespace

std::vector<LayerGraph> training_graphs(const Model& model, std::int64_t batch, DType type) {
  return graphs_of(model, initial_state(model, /*seed=*/1), /*with_gradients=*/true, batch, type);
}

std::vector<LayerGraph> inference_graphs(const Model& model, std::int64_t batch, DType type) {
  const FoldedModel folded = fold_batch_norm(model, initial_state(model, /*seed=*/1));
  return graphs_of(folded.model, folded.state, /*with_gradients=*/false, batch, type);
}

}  // namespace convoy::test
