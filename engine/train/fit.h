// The loop of a training: epochs of steps. It launches many steps at once where nobody looks in between.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "convoy/trainer.h"
#include "engine/core/step_table.h"
#include "engine/train/average_schedule.h"
#include "engine/train/batch_share.h"
#include "engine/train/profiler.h"
#include "engine/train/step.h"

namespace convoy {

/// What a training runs, and on how much.
struct FitSteps {
  EpochShares shares;
  Step& full;            // on a whole batch
  Step* rest = nullptr;  // on what is left over of an epoch; null: nothing
};

class Fit {
 public:
  /// All must outlive this. Throws UsageError if the training is too short for its profile, or if the epoch
  /// of state.position has fewer steps than that.
  Fit(TrainingState& state, const TrainOptions& options, const FitSteps& steps);

  /// From state.position to the end of the last epoch, or to where `stop` has become true.
  void run(DeviceDataset& uploaded, const TrainObserver& observer, const bool& stop);

 private:
  using Clock = std::chrono::steady_clock;

  void check_profile() const;
  void run_epoch(const TrainObserver& observer, const bool& stop);
  void observe_step(const TrainObserver& observer, const bool& stop);
  void run_some(const TrainObserver& observer);
  std::int64_t steps_at_once() const;
  std::vector<std::uint32_t> order_of(std::int64_t epoch) const;
  std::int64_t done() const { return (position_.epoch - 1) * steps_ + position_.step; }  // of the training
  std::int64_t ran() const { return done() - begin_; }                                   // by this Fit
  bool is_due(std::int64_t every) const { return every > 0 && done() % every == 0; }
  bool profiles(std::int64_t step) const;
  void profile_one(Step& step);
  void finish_profile(const TrainObserver& observer);
  void throw_if_not_finite() const;
  void measure_speed();
  Progress progress() const;

  TrainingState& state_;
  const TrainOptions& options_;
  EpochShares shares_;
  Step& full_step_;
  Step* rest_step_;
  std::int64_t full_steps_;  // an epoch
  std::int64_t steps_;       // the same with the rest
  TrainingPosition& position_;
  std::int64_t begin_;                     // steps of the training that had been done before
  StepTable table_;                        // of the counter, for the host
  std::int64_t epoch_begin_ = 0;           // and of the running epoch
  std::vector<std::uint32_t> next_order_;  // of the epoch behind it, once all its steps are launched
  AverageSchedule average_;
  std::optional<StepProfiler> profiler_;
  std::optional<trace::Range> profile_range_;
  double images_per_second_ = 0.0;
  Clock::time_point start_{};
  Clock::time_point epoch_start_{};
};

}  // namespace convoy
