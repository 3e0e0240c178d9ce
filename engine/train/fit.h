// The loop of a training: epochs of steps, as many of them at once as nobody wants to look in between.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "engine/train/profile.h"
#include "engine/train/step.h"
#include "engine/train/trainer.h"
#include "engine/train/weight_average.h"

namespace convoy {

/// What a training runs, and on how much.
struct FitSteps {
  std::int64_t count = 0;  // samples
  Step& full;              // on a whole batch
  Step* rest = nullptr;    // on what is left over of an epoch; null: nothing
};

class Fit {
 public:
  /// All must outlive this. Throws UsageError if the training is too short for its profile.
  Fit(TrainingState& state, const TrainOptions& options, const FitSteps& steps);

  void run(ResidentDataset& resident, const TrainObserver& observer);

  const WeightAverage& average() const { return average_; }

 private:
  using Clock = std::chrono::steady_clock;

  void run_epoch(std::int64_t epoch, const TrainObserver& observer);
  std::int64_t run_some(std::int64_t step_of_epoch, const TrainObserver& observer);
  bool profiles(std::int64_t step) const;
  void profile_one(Step& step);
  void finish_profile(const TrainObserver& observer);
  void throw_if_not_finite() const;
  Progress progress(std::int64_t epoch, std::int64_t step) const;

  TrainingState& state_;
  const TrainOptions& options_;
  std::int64_t count_;
  Step& full_step_;
  Step* rest_step_;
  std::int64_t full_steps_;  // an epoch
  std::int64_t steps_;       // the same with the rest
  std::int64_t done_ = 0;    // steps of the training
  WeightAverage average_;
  std::optional<StepProfiler> profiler_;
  std::optional<trace::Range> profile_range_;
  Clock::time_point start_{};
  Clock::time_point epoch_start_{};
};

}  // namespace convoy
