#include "engine/backend/reference/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "engine/backend/reference/operations.h"
#include "engine/backend/reference/storage.h"
#include "engine/core/error.h"

namespace convoy {
namespace reference {
namespace {

void check_count(const Tensor& tensor, std::size_t values) {
  if (static_cast<std::int64_t>(values) == tensor.shape().count()) return;
  throw UsageError(fmt::format("{} values written to a tensor of shape {}", values, tensor.shape().str()));
}

std::int32_t checked_label(double value) {
  const auto limit = static_cast<double>(std::numeric_limits<std::int32_t>::max());
  if (value >= -limit && value <= limit && value == static_cast<std::int32_t>(value)) {
    return static_cast<std::int32_t>(value);
  }
  throw UsageError(fmt::format("{} written to a tensor of int32", value));
}

template <typename T>
class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return kDouble ? "reference-double" : "reference"; }
  std::string description() const override {
    return fmt::format("plain loops on one thread, {} storage, double sums", kDouble ? "double" : "float");
  }
  double epsilon() const override { return std::numeric_limits<T>::epsilon(); }

  TensorPtr make_tensor(const Shape& shape, DType dtype) override {
    switch (dtype) {
      case DType::float32:
        return std::make_shared<RealTensor<T>>(shape);
      case DType::int32:
        return std::make_shared<LabelTensor>(shape);
      case DType::int64:
        break;  // PyTorch's counters, which the host keeps
    }
    throw UsageError(fmt::format("{}: no tensors of int64, asked for {}", name(), shape.str()));
  }

  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override {
    return std::make_unique<Arena<T>>(shapes, with_gradients);
  }

  std::vector<double> read(const Tensor& tensor) const override {
    if (const auto* labels = dynamic_cast<const LabelTensor*>(&tensor)) {
      return {labels->values().begin(), labels->values().end()};
    }
    const auto* reals = dynamic_cast<const RealTensor<T>*>(&tensor);
    if (!reals) throw foreign(tensor);
    return {reals->values().begin(), reals->values().end()};
  }

  void write(Tensor& tensor, std::span<const double> values) override {
    check_count(tensor, values.size());
    if (auto* labels = dynamic_cast<LabelTensor*>(&tensor)) {
      std::ranges::transform(values, labels->values().begin(), checked_label);
      return;
    }
    auto* reals = dynamic_cast<RealTensor<T>*>(&tensor);
    if (!reals) throw foreign(tensor);
    store<T>(values, reals->values());
  }

  OperationPtr make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x, const Variable& weight,
                           const Variable& bias) override {
    return reference::make_conv2d<T>(layer, fuse_relu, x, weight, bias);
  }
  OperationPtr make_batch_norm(const BatchNorm2d& layer, bool fuse_relu, const Variable& x,
                               const BatchNormTensors& tensors) override {
    return reference::make_batch_norm<T>(layer, fuse_relu, x, tensors);
  }
  OperationPtr make_relu(const Variable& x) override { return reference::make_relu<T>(x); }
  OperationPtr make_max_pool(const MaxPool2d& layer, const Variable& x) override {
    return reference::make_max_pool<T>(layer, x);
  }
  OperationPtr make_avg_pool(const AvgPool2d& layer, const Variable& x) override {
    return reference::make_avg_pool<T>(layer, x);
  }
  OperationPtr make_linear(const Linear& layer, const Variable& x, const Variable& weight,
                           const Variable& bias) override {
    return reference::make_linear<T>(layer, x, weight, bias);
  }
  OperationPtr make_dropout(const Dropout& layer, const Variable& x, RandomStream random,
                            const StepCounter& counter) override {
    return reference::make_dropout<T>(layer, x, random, counter);
  }
  OperationPtr make_add(const Variable& a, const Variable& b) override {
    return reference::make_add<T>(a, b);
  }
  std::unique_ptr<Fork> make_fork(const Variable& x) override { return reference::make_fork<T>(x); }

  OperationPtr make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics) override {
    return reference::make_cross_entropy<T>(logits, labels, metrics);
  }
  std::unique_ptr<Metrics> make_metrics() override { return std::make_unique<HostMetrics>(); }
  std::unique_ptr<StepCounter> make_counter() override { return std::make_unique<HostCounter>(); }
  std::unique_ptr<ResidentDataset> upload(const Dataset& dataset) override {
    return reference::upload(dataset);
  }
  OperationPtr make_batch(ResidentDataset& dataset, TensorPtr images, TensorPtr labels,
                          const AugmentationSource& augmentation) override {
    return reference::make_batch<T>(dataset, images, labels, augmentation);
  }
  std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                            const OptimizerOptions& options) override {
    return reference::make_optimizer<T>(parameters, counter, options);
  }

  std::unique_ptr<Replay> record(std::function<void()> sequence) override {
    return std::make_unique<HostReplay>(std::move(sequence));
  }
  std::int64_t steps_per_launch() const override { return 1; }
  void synchronize() override {}

  std::unique_ptr<TimeMark> mark() override { return std::make_unique<HostMark>(); }
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter& counter) override {
    return std::make_unique<HostFiniteCheck>(*this, counter);
  }
  MemoryUse memory() const override { return {}; }
  std::vector<PlanRow> plans() const override { return {}; }

 private:
  static constexpr bool kDouble = std::is_same_v<T, double>;

  UsageError foreign(const Tensor& tensor) const {
    return UsageError(
        fmt::format("{}: a tensor of shape {} was made by another backend", name(), tensor.shape().str()));
  }
};

}  // namespace
}  // namespace reference

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<reference::ReferenceBackend<float>>();
}

std::unique_ptr<Backend> make_double_reference_backend() {
  return std::make_unique<reference::ReferenceBackend<double>>();
}

}  // namespace convoy
