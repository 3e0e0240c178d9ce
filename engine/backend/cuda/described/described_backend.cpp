#include <fmt/format.h>

#include <map>
#include <utility>

#include "convoy/error.h"
#include "engine/backend/cuda/described/described.h"
#include "engine/backend/cuda/described/driver.h"
#include "engine/backend/cuda/described/saying.h"
#include "engine/backend/cuda/layers/operation_graphs.h"
#include "engine/backend/cuda/layers/own_kernels.h"
#include "engine/backend/cuda/runtime/plan_store.h"
#include "engine/backend/sequence.h"
#include "engine/model/layer_rules.h"

namespace convoy::cuda {
namespace {

using dnn::OperationGraph;

[[noreturn]] void refuse(const char* what) {
  throw Error(fmt::format("a described GPU executes nothing: it has no {}", what));
}

/// The layers say what their namesakes in engine/backend/cuda/layers/ enqueue.
class PlanningBackend final : public DescribedBackend {
 public:
  PlanningBackend(const DescribedDevice& device, const DeviceOptions& options)
      : device_(device), options_(options), store_(std::string(device.properties), options) {}

  std::vector<PlanRow> take_executed() override { return std::exchange(executed_, {}); }

  Communicator& group() const override { return alone_; }
  bool syncs_batch_norm() const override { return false; }
  std::string name() const override { return "described"; }
  std::string description() const override { return fmt::format("{}, described", device_.name); }
  double epsilon() const override { return 0; }

  TensorPtr make_tensor(const Shape& shape, DType) override { return std::make_shared<Tensor>(shape); }
  TensorPtr make_activation(const Shape& shape) override { return std::make_shared<Tensor>(shape); }
  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override {
    return std::make_unique<Arena>(shapes, with_gradients);
  }
  std::vector<double> read(const Tensor&) const override { refuse("values"); }
  void write(Tensor&, std::span<const double>) override {}
  Variable flatten(const Variable& x) override {
    return variable(output_shape(Flatten{}, x.value->shape()), x.grad != nullptr);
  }

  bool fuses(const MaxPool2d& pool) const override { return fuses_batch_norm_pool(options_, pool); }

  OperationPtr make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x, const Variable& weight,
                           const Variable& bias) override;
  OperationPtr make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                               const BatchNormTensors& tensors) override;
  OperationPtr make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool, const Variable& x,
                                    const BatchNormTensors& tensors) override;
  OperationPtr make_group_norm(const GroupNorm& layer, const Variable& x, const Variable& weight,
                               const Variable& bias) override;
  OperationPtr make_relu(const Variable& x) override;
  OperationPtr make_max_pool(const MaxPool2d& layer, const Variable& x) override;
  OperationPtr make_avg_pool(const AvgPool2d& layer, const Variable& x) override;
  OperationPtr make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                           const Variable& bias) override;
  OperationPtr make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                            const StepCounter& counter) override;
  OperationPtr make_add(const Variable& a, const Variable& b) override;
  std::unique_ptr<Fork> make_fork(const Variable& x) override;

  OperationPtr make_cross_entropy(const Variable& logits, TensorPtr, Metrics&, std::int64_t,
                                  double) override {
    return operation({{own_kernel("cross-entropy and its gradient", logits.value->shape())}, {}}, {});
  }
  std::unique_ptr<Metrics> make_metrics() override { return std::make_unique<NoMetrics>(); }
  std::unique_ptr<StepCounter> make_counter(const StepRule& rule) override {
    return std::make_unique<SayingCounter>(rule, sayer());
  }
  std::unique_ptr<DeviceDataset> upload(const Dataset&) override { return std::make_unique<NoDataset>(); }
  OperationPtr make_batch(DeviceDataset&, TensorPtr images, TensorPtr, const AugmentationSource&,
                          StepCounter* counter) override {
    const char* what = counter ? "batch and step counter" : "batch";
    return operation({{own_kernel(what, images->shape())}, {}}, {});
  }
  std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter&,
                                            const OptimizerOptions& options, const UpdateRule&) override {
    return std::make_unique<SayingOptimizer>(parameters, options, sayer());
  }
  std::unique_ptr<Optimizer> make_muon(ParameterArena&, const StepCounter&, const MuonOptions&,
                                       const UpdateRule&) override {
    refuse("matrices to orthogonalise");
  }
  std::unique_ptr<GradientClip> make_gradient_clip(ParameterArena&, float) override { refuse("a norm"); }
  std::unique_ptr<GradientSum> make_gradient_sum(ParameterArena&, bool) override { refuse("other GPUs"); }
  std::unique_ptr<ParameterAverage> make_average(ParameterArena&) override { refuse("weights to average"); }
  std::unique_ptr<MovingAverage> make_moving_average(ParameterArena&, ParameterArena&, const StepCounter&,
                                                     double) override {
    refuse("weights to average");
  }
  std::unique_ptr<Stager> make_stager(StagerSources) override { refuse("values"); }

  void prepare() override { store_.choose({}); }
  std::unique_ptr<Replay> record(std::function<void()>) override { return nullptr; }
  std::int64_t steps_per_launch() const override { return 1; }
  void synchronize() override {}
  std::unique_ptr<TimeMark> mark() override { return std::make_unique<NoMark>(); }
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter&) override { refuse("values"); }
  MemoryUse memory() const override { return {}; }
  std::vector<PlanRow> plans() const override { return store_.rows(); }

 private:
  DType type() const { return options_.precision == Precision::bf16 ? DType::bfloat16 : DType::float32; }

  /// Asks for a plan beside an own kernel, if there is one that suffices.
  Piece planned(OperationGraph graph, dnn::OwnKernel own = {}, std::shared_ptr<Pieces> instead = {}) {
    const std::size_t row = rows_.try_emplace(graph.signature(), rows_.size()).first->second;
    bound_.push_back(store_.request(std::move(graph), {}, std::move(own)));
    return {.row = {}, .graph = row, .instead = std::move(instead)};
  }
  /// `instead` is what the CUDA backend does without a plan, and `make` adds to it what only then has to be
  /// planned.
  Piece planned_or(OperationGraph graph, std::shared_ptr<Pieces> instead, std::function<void()> make = {}) {
    dnn::OwnKernel own;
    if (instead) own = {.name = instead->front().row.operation, .make = std::move(make)};
    return planned(std::move(graph), std::move(own), std::move(instead));
  }
  static std::shared_ptr<Pieces> or_else(Piece piece) {
    return std::make_shared<Pieces>(Pieces{std::move(piece)});
  }

  Sayer::Say sayer() {
    return [this](const Pieces& pieces) { say(pieces); };
  }

  void say(const Pieces& pieces) {
    for (const Piece& piece : pieces) {
      if (!piece.graph) {
        executed_.push_back(piece.row);
        continue;
      }
      const PlanRow row = store_.rows().at(*piece.graph);
      if (row.realisation == Realisation::nothing) {
        throw Error(fmt::format("cuDNN has no plan for {} on the {}, and no own kernel stands in",
                                row.operation, device_.name));
      }
      if (row.realisation == Realisation::own_kernel && piece.instead) {
        say(*piece.instead);
      } else {
        executed_.push_back(row);
      }
    }
  }

  OperationPtr operation(Sayer::Passes passes, Variable output) {
    return std::make_unique<Sayer>(sayer(), std::move(passes), std::move(output));
  }

  const DescribedDevice& device_;
  DeviceOptions options_;
  PlanStore store_;
  mutable Alone alone_;
  std::map<std::string, std::size_t> rows_;  // by signature: the store's rows, in order of request
  std::vector<std::shared_ptr<dnn::BoundGraph>> bound_;  // the store forgets what nobody holds
  std::vector<PlanRow> executed_;
};

OperationPtr PlanningBackend::make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x,
                                          const Variable& weight, const Variable& bias) {
  const Shape& shape = x.value->shape();
  const Shape y = output_shape(layer, shape);
  Sayer::Passes passes;
  std::shared_ptr<Pieces> by_parts;
  if (fuse_relu || layer.bias) by_parts = or_else(own_kernel("bias and ReLU", y));
  passes.forward.push_back(
      planned_or(conv2d_forward_graph(layer, fuse_relu, shape, type()), by_parts, [=, this] {
        Conv2d alone = layer;
        alone.bias = false;
        by_parts->insert(by_parts->begin(), planned(conv2d_forward_graph(alone, false, shape, type())));
      }));
  const bool trained = x.grad || weight.grad || bias.grad;
  if (fuse_relu && trained) passes.backward.push_back(own_kernel("mask of the gradient", y));
  if (weight.grad) {
    passes.backward.push_back(planned(conv2d_backward_weight_graph(layer, shape, type()),
                                      conv2d_backward_weight_kernel(layer, shape, *options_.precision)));
    if (type() == DType::bfloat16) passes.backward.push_back(own_kernel("cast", weight_shape(layer)));
  }
  if (bias.grad) passes.backward.push_back(own_kernel("bias gradient", y));
  if (x.grad) passes.backward.push_back(planned(conv2d_backward_data_graph(layer, shape, type())));
  return operation(std::move(passes), variable(y, trained));
}

OperationPtr PlanningBackend::make_batch_norm(const BatchNorm2d&, bool relu, const Variable& x,
                                              const BatchNormTensors& tensors) {
  const Shape& shape = x.value->shape();
  if (!x.grad && !tensors.weight.grad) {
    return operation({{own_kernel("batch norm evaluation", shape)}, {}}, variable(shape, false));
  }
  return operation({{planned_or(batch_norm_training_graph(shape, relu, type()),
                                or_else(own_kernel("batch norm", shape, 2)))},
                    {planned_or(batch_norm_backward_graph(shape, relu, type()),
                                or_else(own_kernel("batch norm gradient", shape, x.grad ? 2 : 1)))}},
                   variable(shape, true));
}

OperationPtr PlanningBackend::make_batch_norm_pool(const BatchNorm2d& layer, const MaxPool2d& pool,
                                                   const Variable& x, const BatchNormTensors& tensors) {
  const Shape& shape = x.value->shape();
  if (!has_batch_norm_pool_kernel(pool, shape)) {
    return batch_norm_then_pool(*this, layer, pool, x, tensors);
  }
  const bool trained = x.grad || tensors.weight.grad || tensors.bias.grad;
  Sayer::Passes passes;
  passes.forward.push_back(trained ? own_kernel("batch_norm+relu+max_pool.training", shape, 2)
                                   : own_kernel("batch_norm+relu+max_pool.evaluation", shape));
  if (trained)
    passes.backward.push_back(own_kernel("batch_norm+relu+max_pool.backward", shape, x.grad ? 2 : 1));
  return operation(std::move(passes), variable(output_shape(pool, shape), trained));
}

OperationPtr PlanningBackend::make_group_norm(const GroupNorm&, const Variable& x, const Variable& weight,
                                              const Variable& bias) {
  const Shape& shape = x.value->shape();
  const bool parameters = weight.grad || bias.grad;
  const bool trained = x.grad || parameters;
  Sayer::Passes passes = {{own_kernel("group norm", shape, 2)}, {}};
  if (trained) {
    const std::int64_t launches = (parameters ? 1 : 0) + (x.grad ? 2 : 0);
    passes.backward.push_back(own_kernel("group norm gradient", shape, launches));
  }
  return operation(std::move(passes), variable(shape, trained));
}

OperationPtr PlanningBackend::make_relu(const Variable& x) {
  const Shape& shape = x.value->shape();
  Sayer::Passes passes = {{own_kernel("ReLU", shape)}, {}};
  if (x.grad) passes.backward.push_back(own_kernel("ReLU gradient", shape));
  return operation(std::move(passes), variable(shape, x.grad != nullptr));
}

OperationPtr PlanningBackend::make_max_pool(const MaxPool2d& layer, const Variable& x) {
  const Shape& shape = x.value->shape();
  const bool has_kernel = has_max_pool_kernel(layer, shape);
  const auto instead = [&](const char* what) {
    return has_kernel ? or_else(own_kernel(what, shape)) : nullptr;
  };
  const std::size_t forward = bound_.size();
  const bool trained = x.grad != nullptr;
  if (trained && !trains_max_pool_by_cudnn(layer)) {
    return operation({{own_kernel("max pool", shape)}, {own_kernel("max pool gradient", shape)}},
                     variable(output_shape(layer, shape), true));
  }
  Sayer::Passes passes;
  passes.forward.push_back(
      planned_or(pool_forward_graph(layer, shape, type()), instead("max pool"), [this, forward, trained] {
        if (trained) store_.do_by_own_kernel(*bound_[forward + 1]);
      }));
  if (trained) {
    passes.backward.push_back(planned_or(pool_backward_graph(layer, shape, type()),
                                         instead("max pool gradient"),
                                         [this, forward] { store_.do_by_own_kernel(*bound_[forward]); }));
  }
  return operation(std::move(passes), variable(output_shape(layer, shape), x.grad != nullptr));
}

OperationPtr PlanningBackend::make_avg_pool(const AvgPool2d& layer, const Variable& x) {
  const Shape& shape = x.value->shape();
  Sayer::Passes passes = {
      {planned(pool_forward_graph(layer, shape, type()), avg_pool_forward_kernel(layer, shape, type()))}, {}};
  if (x.grad) {
    passes.backward.push_back(
        planned(pool_backward_graph(layer, shape, type()), avg_pool_backward_kernel(layer, shape, type())));
  }
  return operation(std::move(passes), variable(output_shape(layer, shape), x.grad != nullptr));
}

OperationPtr PlanningBackend::make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                                          const Variable& bias) {
  const Shape& shape = x.value->shape();
  const Shape y = output_shape(layer, shape);
  const Shape w = weight_shape(layer);
  const auto transposed = [](const Shape& matrix) { return Shape{matrix[1], matrix[0]}; };
  Sayer::Passes passes = {{gemm(shape, transposed(w))}, {}};
  if (weight.grad) {
    passes.backward.push_back(gemm(transposed(y), shape));
  } else if (bias.grad) {
    passes.backward.push_back(own_kernel("bias gradient", y));
  }
  if (x.grad) passes.backward.push_back(gemm(y, w));
  return operation(std::move(passes), variable(y, x.grad || weight.grad || bias.grad));
}

OperationPtr PlanningBackend::make_dropout(const Dropout&, const Variable& x, RandomStream,
                                           const StepCounter&) {
  const Shape& shape = x.value->shape();
  Sayer::Passes passes = {{own_kernel("dropout", shape)}, {}};
  if (x.grad) passes.backward.push_back(own_kernel("dropout gradient", shape));
  return operation(std::move(passes), variable(shape, x.grad != nullptr));
}

OperationPtr PlanningBackend::make_add(const Variable& a, const Variable& b) {
  const Shape& shape = a.value->shape();
  Variable output = variable(shape, !a.grad && b.grad);
  if (a.grad) output.grad = a.grad;
  Sayer::Passes passes = {{own_kernel("add", shape)}, {}};
  if (b.grad) passes.backward.push_back(own_kernel("copy of the gradient", shape));
  return operation(std::move(passes), std::move(output));
}

std::unique_ptr<Fork> PlanningBackend::make_fork(const Variable& x) {
  const Shape& shape = x.value->shape();
  const auto branch = [&] { return Variable{x.value, x.grad ? std::make_shared<Tensor>(shape) : nullptr}; };
  Sayer::Passes passes;
  if (x.grad) passes.backward.push_back(own_kernel("sum of the gradients", shape));
  return std::make_unique<Sayer>(sayer(), std::move(passes), branch(), branch());
}

}  // namespace
}  // namespace convoy::cuda

namespace convoy {

std::unique_ptr<DescribedBackend> make_described_backend(const std::string& device,
                                                         const DeviceOptions& options) {
  const DescribedDevice& description = described_device(device);
  DeviceOptions resolved = options;
  resolved.precision = precision_on(description, options.precision);
  if (description.peak(*resolved.precision).gflops == 0.0) {
    throw Error(fmt::format("{} knows no tf32 and no bf16: take fp32", device));
  }
  if (!cuda::load_a_driver() && options.say) {
    options.say("there is no libcuda.so.1, so cuDNN plans no batch norm and no pooling", Remedy::none);
  }
  return std::make_unique<cuda::PlanningBackend>(description, resolved);
}

}  // namespace convoy
