// The class of the CUDA backend. Its members are defined where their operations are: in layers/, step/ and
// runtime/.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

class CudaBackend final : public Backend {
 public:
  /// Throws what Context throws.
  explicit CudaBackend(const DeviceOptions& options) : context_(options) {}
  ~CudaBackend() override;

  Communicator& group() const override { return context_.group(); }
  bool syncs_batch_norm() const override { return false; }  // make_cuda_backend refuses it

  std::string name() const override { return "cuda"; }
  std::string description() const override;
  double epsilon() const override;

  TensorPtr make_tensor(const Shape& shape, DType dtype) override;
  TensorPtr make_activation(const Shape& shape) override;
  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override;
  std::vector<double> read(const Tensor& tensor) const override;
  void write(Tensor& tensor, std::span<const double> values) override;
  Variable flatten(const Variable& x) override;

  bool fuses(const MaxPool2d& pool) const override;

#define CONVOY_LAYER_OPERATION override
#include "engine/backend/layer_operations.inc"
#undef CONVOY_LAYER_OPERATION

  OperationPtr make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics,
                                  std::int64_t mean_over, double label_smoothing) override;
  std::unique_ptr<Metrics> make_metrics() override;
  std::unique_ptr<StepCounter> make_counter(const StepRule& rule) override;
  std::unique_ptr<DeviceDataset> upload(const Dataset& dataset) override;
  OperationPtr make_batch(DeviceDataset& dataset, TensorPtr images, TensorPtr labels,
                          const AugmentationSource& augmentation, StepCounter* counter) override;
  std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                            const OptimizerOptions& options, const UpdateRule& rule) override;
  std::unique_ptr<Optimizer> make_muon(ParameterArena& parameters, const StepCounter& counter,
                                       const MuonOptions& options, const UpdateRule& rule) override;
  std::unique_ptr<GradientClip> make_gradient_clip(ParameterArena& parameters, float max_norm) override;
  std::unique_ptr<GradientSum> make_gradient_sum(ParameterArena& parameters, bool contributes) override;
  std::unique_ptr<ParameterAverage> make_average(ParameterArena& parameters) override;
  std::unique_ptr<MovingAverage> make_moving_average(ParameterArena& parameters, ParameterArena& statistics,
                                                     const StepCounter& counter, double decay) override;
  std::unique_ptr<Stager> make_stager(StagerSources sources) override;

  void prepare() override;
  std::unique_ptr<Replay> record(std::function<void()> sequence) override;
  std::int64_t steps_per_launch() const override;
  void synchronize() override;

  std::unique_ptr<TimeMark> mark() override;
  std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter& counter) override;
  MemoryUse memory() const override;
  std::vector<PlanRow> plans() const override;

 private:
  Context context_;
};

}  // namespace convoy::cuda
