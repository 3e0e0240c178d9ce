// What a training keeps on the device from step to step, beside its parameters. All of it can be read and
// written, so that a training can be saved and restored; a Stager reads without stopping the training.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convoy/error.h"
#include "convoy/metrics.h"
#include "engine/core/parameter_group.h"
#include "engine/core/step_scalars.h"

namespace convoy {

class Tensor;  // engine/backend/backend.h
using TensorPtr = std::shared_ptr<Tensor>;

/// The number of the current training step and its scalars, on the device: optimizers, dropout and
/// augmentation read them there.
class StepCounter {
 public:
  explicit StepCounter(const StepRule& rule) : rule_(rule) {}
  virtual ~StepCounter() = default;

  /// Goes on to the next step: adds 1 to the number and makes the scalars that follow from it and the rule.
  virtual void advance() = 0;
  std::int64_t read() const { return scalars().step; }  // synchronises
  /// Those of the last advance(); synchronises.
  virtual StepScalars scalars() const = 0;
  /// Sets the number alone: the next advance() makes scalars again.
  virtual void write(std::int64_t step) = 0;

  const StepRule& rule() const { return rule_; }
  /// Another schedule of the same optimizer, where the length of the training becomes known: the next
  /// advance() makes scalars by it, in a recorded step, too. Throws UsageError as make_counter, and for
  /// another optimizer.
  void set_rule(const StepRule& rule);

 private:
  virtual void follow(const StepTable& table) = 0;  // synchronises

  StepRule rule_;
};

class Metrics {
 public:
  virtual ~Metrics() = default;
  virtual void reset() = 0;
  virtual MetricsReading read() const = 0;  // synchronises
  /// Goes on counting from what was read before.
  virtual void write(const MetricsReading& reading) = 0;
};

/// What an optimizer remembers of every parameter from step to step.
struct OptimizerState {
  std::string name;                // PyTorch's: "exp_avg"
  std::vector<TensorPtr> tensors;  // one a parameter, in the arena's order, of the parameter's shape
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One update of every parameter from its gradient.
  virtual void step() = 0;
  /// "exp_avg" and "exp_avg_sq" of Adam and AdamW, "momentum_buffer" of SGD with a momentum, nothing of SGD
  /// without. For Backend::read and Backend::write.
  std::span<const OptimizerState> state() const { return state_; }

 protected:
  std::vector<OptimizerState> state_;
};

/// torch.nn.utils.clip_grad_norm_, on the device: the gradients stay as they are, and the update multiplies
/// each by the factor as it reads it.
class GradientClip {
 public:
  virtual ~GradientClip() = default;
  /// Takes the L2 norm of all gradients, as they are now.
  virtual void measure() = 0;
  /// [2]: the norm, and the factor max_norm / (norm + 1e-6), at most 1. For Backend::read.
  const TensorPtr& result() const { return result_; }

 protected:
  TensorPtr result_;
};

/// How an optimizer treats the parameters beside its options.
struct UpdateRule {
  std::span<const ParameterGroup> groups = {};  // one a parameter; empty: all are decayed
  const GradientClip* clip = nullptr;  // must outlive the optimizer; null: gradients count as they are
};

/// The mean of the parameters' values at several points of a training, kept on the device, as
/// torch.optim.swa_utils.AveragedModel keeps it.
class ParameterAverage {
 public:
  virtual ~ParameterAverage() = default;

  /// Takes in the values of now: mean += (value - mean) / n for the n-th time; the first are the mean.
  void add() {
    add_sample(count_ + 1);
    ++count_;
  }

  /// Makes the mean the parameters' values. Throws Error if nothing was added.
  void store() {
    if (count_ == 0) throw Error("average: nothing was added to it");
    store_means();
  }

  /// How often `add` was called. Set to 0, it begins anew; set with the tensors, it goes on where another
  /// was.
  std::int64_t count() const { return count_; }
  void set_count(std::int64_t count) { count_ = count; }

  /// One a parameter, in the arena's order, of the parameter's shape. For Backend::read and Backend::write.
  std::span<const TensorPtr> means() const { return means_; }

 protected:
  std::vector<TensorPtr> means_;

 private:
  virtual void add_sample(std::int64_t count) = 0;  // the count-th
  virtual void store_means() = 0;

  std::int64_t count_ = 0;
};

/// The exponential moving average of a model's parameters and of the running statistics beside them, as
/// torch.optim.swa_utils.AveragedModel keeps it with get_ema_multi_avg_fn(decay) and use_buffers=True.
class MovingAverage {
 public:
  virtual ~MovingAverage() = default;

  /// Takes in the values of now, behind each step's update.
  virtual void update() = 0;

  /// Exchanges means and values; called again, it brings both back to the bit.
  virtual void swap() = 0;

  /// The first average is of the values behind step `step` + 1. Synchronises.
  virtual void begin_behind(std::int64_t step) = 0;

  /// What begin_behind was told: the counter's step less this is how often values were taken in.
  std::int64_t begun() const { return begun_; }

  /// Of the parameters and then of the statistics, each in its arena's order. For Backend::read and
  /// Backend::write.
  std::span<const TensorPtr> means() const { return means_; }

 protected:
  std::vector<TensorPtr> means_;
  std::int64_t begun_ = 0;
};

/// Which part of a step wrote the first NaN or infinity, in which step.
struct NonFinite {
  std::int32_t part = 0;
  std::int64_t step = 0;
};

/// Looks for NaN and infinity on the device, so that looking stops no step.
class FiniteCheck {
 public:
  virtual ~FiniteCheck() = default;
  /// Looks at every element of `tensor` (real numbers) on behalf of `part`, which is not negative.
  virtual void look(const Tensor& tensor, std::int32_t part) = 0;
  /// What was found first, in the order of execution, if anything was; synchronises.
  virtual std::optional<NonFinite> read() const = 0;
  /// Forgets it.
  virtual void reset() = 0;
};

/// What a snapshot of a training is taken of. All must outlive the Stager.
struct StagerSources {
  std::vector<TensorPtr> tensors;
  const StepCounter& counter;
  const Metrics& metrics;
};

/// The same as values.
struct StagedValues {
  std::vector<std::vector<double>> tensors;  // in the sources' order, each in row-major order
  std::int64_t step = 0;                     // of the counter
  MetricsReading metrics;
};

/// Takes a copy of everything at one moment, which is read later, while the device goes on with the next
/// steps. PyTorch's torch.distributed.checkpoint calls this staging, too.
class Stager {
 public:
  virtual ~Stager() = default;
  /// Enqueues the copy, and does not wait for it. The one before must have been read.
  virtual void stage() = 0;
  /// Waits for the copy, not for what was enqueued behind it. Any thread may call this.
  virtual StagedValues read() = 0;
};

}  // namespace convoy
