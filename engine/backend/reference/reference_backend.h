// The class of the reference backend, for T = float and T = double. Each operation defines its members in its
// own file; all of them check shapes before anything else. Sums are double and are rounded to T once.
#pragma once

#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "convoy/device.h"
#include "engine/backend/host_backend.h"
#include "engine/backend/reference/tensor.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {

/// The learning rate of the counter's step.
double scheduled_rate(const StepCounter& counter);

template <typename T>
class ReferenceBackend final : public HostBackend {
 public:
  explicit ReferenceBackend(const DeviceOptions& options = {})
      : HostBackend(options), fuse_(options.fuse.value_or(false)) {}

  std::string name() const override { return kDouble ? "reference-double" : "reference"; }
  std::string description() const override;
  double epsilon() const override { return std::numeric_limits<T>::epsilon(); }

  TensorPtr make_tensor(const Shape& shape, DType dtype) override;
  std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                  bool with_gradients) override;
  std::vector<double> read(const Tensor& tensor) const override;
  void write(Tensor& tensor, std::span<const double> values) override;
  Variable flatten(const Variable& x) override;

  bool fuses(const MaxPool2d& pool) const override { return fuse_ && has_disjoint_windows(pool); }
#define CONVOY_LAYER_OPERATION override
#include "engine/backend/layer_operations.inc"
#undef CONVOY_LAYER_OPERATION

  OperationPtr make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics,
                                  std::int64_t mean_over, double label_smoothing) override;
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

 private:
  bool fuse_;
  static constexpr bool kDouble = std::is_same_v<T, double>;
};

}  // namespace convoy::reference
