/// @file
/// Schedules of the learning rate: torch.optim.lr_scheduler's, with its names, parameters and values.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

namespace convoy {

/// `factor` times the rate for `total_iters` counts, then the rate itself.
struct ConstantLR {
  double factor = 1.0 / 3.0;     ///< 0 to 1
  std::int64_t total_iters = 5;  ///< at least 1, or 0: to the end

  /// Equal in all members.
  bool operator==(const ConstantLR&) const = default;
};

/// From start_factor to end_factor times the rate in `total_iters` counts, along a line; end_factor from then
/// on. A warm-up, or a decay.
struct LinearLR {
  double start_factor = 1.0 / 3.0;  ///< of the first count; above 0, at most 1
  double end_factor = 1.0;          ///< 0 to 1
  std::int64_t total_iters = 5;     ///< at least 1, or 0: to the end

  /// Equal in all members.
  bool operator==(const LinearLR&) const = default;
};

/// The rate times `gamma` after every `step_size` counts.
struct StepLR {
  std::int64_t step_size = 0;  ///< at least 1; it has no default
  double gamma = 0.1;          ///< above 0

  /// Equal in all members.
  bool operator==(const StepLR&) const = default;
};

/// The rate times `gamma` at every milestone.
struct MultiStepLR {
  std::vector<std::int64_t> milestones;  ///< counts in ascending order, at least 1 each; twice is gamma^2
  double gamma = 0.1;                    ///< above 0

  /// Equal in all members.
  bool operator==(const MultiStepLR&) const = default;
};

/// The rate times `gamma` at every count.
struct ExponentialLR {
  double gamma = 0.0;  ///< above 0; it has no default

  /// Equal in all members.
  bool operator==(const ExponentialLR&) const = default;
};

/// From the rate down to `eta_min` in `T_max` counts, along half a wave of the cosine. Behind them it rises
/// again, as PyTorch's does.
struct CosineAnnealingLR {
  std::int64_t T_max = 0;  ///< at least 1, or 0: to the end
  double eta_min = 0.0;    ///< a learning rate of at least 0

  /// Equal in all members.
  bool operator==(const CosineAnnealingLR&) const = default;
};

/// Up to a maximum and down again (Smith and Topin, 2018). The optimizer's learning rate is the maximum,
/// PyTorch's max_lr. SGD's momentum, or Adam's beta1, goes the other way.
struct OneCycleLR {
  /// How a rate goes from one value to the next.
  enum class AnnealStrategy : std::int32_t {
    cos,    ///< along half a wave of the cosine
    linear  ///< along a line
  };

  std::int64_t total_steps = 0;  ///< counts in all, at least 1, or 0: to the end; no training goes on behind
  double pct_start = 0.3;        ///< the rise's part of them, 0 to 1
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;  ///< `cos` or `linear`
  bool cycle_momentum = true;     ///< false: the optimizer's own momentum or beta1 stays as it is
  double base_momentum = 0.85;    ///< at the maximum of the rate, in [0, 1)
  double max_momentum = 0.95;     ///< at the beginning and the end, in [0, 1)
  double div_factor = 25.0;       ///< the maximum over the first rate, above 0
  double final_div_factor = 1e4;  ///< the first rate over the last, above 0
  bool three_phase = false;  ///< down to the first rate as it went up, then on to the last; else straight

  /// Equal in all members.
  bool operator==(const OneCycleLR&) const = default;
};

struct Schedule;

/// One scheduler after the other; each counts from 0 at the milestone where it begins. A length of 0 reaches
/// to the next milestone. Beside a OneCycleLR the others' rate is the first of the cycle, as it is for a
/// PyTorch scheduler that is made behind a OneCycleLR.
struct SequentialLR {
  std::vector<Schedule> schedulers;      ///< at least one, none a SequentialLR, at most one a OneCycleLR
  std::vector<std::int64_t> milestones;  ///< one less, ascending, by the interval of the whole

  /// Equal in all members.
  bool operator==(const SequentialLR& other) const;
};

/// Any of them.
using Scheduler = std::variant<ConstantLR, LinearLR, StepLR, MultiStepLR, ExponentialLR, CosineAnnealingLR,
                               OneCycleLR, SequentialLR>;

/// How the learning rate changes over a training: `{CosineAnnealingLR{}}`. Without anything it does not.
struct Schedule {
  /// What a count is, PyTorch's scheduler.step().
  enum class Interval : std::int32_t {
    step,   ///< a training step
    epoch,  ///< an epoch's number of training steps
  };

  Scheduler scheduler = ConstantLR{.factor = 1.0, .total_iters = 0};  ///< which, with its parameters
  Interval interval = Interval::step;                                 ///< how often it is stepped

  /// Equal in all members.
  bool operator==(const Schedule&) const = default;
};

inline bool SequentialLR::operator==(const SequentialLR& other) const {
  return schedulers == other.schedulers && milestones == other.milestones;
}

}  // namespace convoy
