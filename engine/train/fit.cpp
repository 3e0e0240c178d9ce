#include "engine/train/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/core/error.h"
#include "engine/data/order.h"

namespace convoy {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The ranges of the loop; those of a step's parts are its own.
struct LoopRanges {
  trace::Name epoch{"epoch"};
  trace::Name step{"step"};
  trace::Name profile{"profile"};
};

const LoopRanges& ranges() {
  static const LoopRanges names;
  return names;
}

}  // namespace

Fit::Fit(TrainingState& state, const TrainOptions& options, const FitSteps& steps)
    : state_(state),
      options_(options),
      count_(steps.count),
      full_step_(steps.full),
      rest_step_(steps.rest),
      full_steps_(count_ / options.batch_size),
      steps_(full_steps_ + (rest_step_ ? 1 : 0)),
      average_(options.settle_batches > 0 ? options.epochs * steps_ : 0) {
  const std::int64_t available = full_steps_ - kProfileWarmup;  // of the first epoch, and of one size
  if (options.profile_steps > std::max<std::int64_t>(available, 0)) {
    throw UsageError(
        fmt::format("a profile of {} steps, {} before it, needs an epoch of {}: this one has {} of {} images",
                    options.profile_steps, kProfileWarmup, options.profile_steps + kProfileWarmup,
                    full_steps_, options.batch_size));
  }
}

void Fit::run(ResidentDataset& resident, const TrainObserver& observer) {
  start_ = Clock::now();
  for (std::int64_t epoch = 1; epoch <= options_.epochs; ++epoch) {
    resident.set_order(shuffled_order(count_, options_.seed, static_cast<std::uint32_t>(epoch)));
    const trace::Range range(ranges().epoch, epoch);
    run_epoch(epoch, observer);
  }
}

void Fit::run_epoch(std::int64_t epoch, const TrainObserver& observer) {
  epoch_start_ = Clock::now();
  state_.metrics->reset();
  for (std::int64_t step = 0; step < steps_;) {
    step += run_some(step, observer);
    if (options_.log_every > 0 && step % options_.log_every == 0) {
      throw_if_not_finite();
      if (observer.step) {
        const double loss = state_.metrics->read().last_loss;  // synchronises, so the clock is read after it
        observer.step({progress(epoch, step), loss});
      }
    }
    if (observer.progress) observer.progress(progress(epoch, step));
  }
  throw_if_not_finite();
  if (observer.epoch) {
    const MetricsReading reading = state_.metrics->read();
    const auto samples = static_cast<double>(reading.samples);
    observer.epoch({progress(epoch, steps_), reading.loss_sum / samples,
                    static_cast<double>(reading.correct) / samples});
  }
}

// Runs what comes after `step_of_epoch` steps of the epoch, up to the next thing that somebody wants to see.
// Returns the number of steps that were run.
std::int64_t Fit::run_some(std::int64_t step_of_epoch, const TrainObserver& observer) {
  const bool full = step_of_epoch < full_steps_;
  Step& step = full ? full_step_ : *rest_step_;
  std::int64_t times = std::min(state_.backend.steps_per_launch(), full ? full_steps_ - step_of_epoch : 1);
  if (options_.log_every > 0)
    times = std::min(times, options_.log_every - step_of_epoch % options_.log_every);
  times = std::min(times, average_.next_after(done_) - done_);
  if (done_ == 0) times = 1;
  if (options_.profile_steps > 0 && done_ < kProfileWarmup + options_.profile_steps) times = 1;
  if (profiles(done_ + 1)) {
    profile_one(step);
    if (!profiles(done_ + 2)) finish_profile(observer);
  } else {
    const trace::Range range(ranges().step, done_ + 1);
    step.run(times);
  }
  if (done_ == 0 && observer.first_step) {
    state_.backend.synchronize();
    observer.first_step();
  }
  done_ += times;
  if (average_.wants(done_)) average_.add(state_.parameters.weights());
  return times;
}

bool Fit::profiles(std::int64_t step) const {
  return step > kProfileWarmup && step <= kProfileWarmup + options_.profile_steps;
}

void Fit::profile_one(Step& step) {
  if (!profiler_) {
    profile_range_.emplace(ranges().profile);
    profiler_.emplace(state_.backend, step);
  }
  const trace::Range range(ranges().step, done_ + 1);
  profiler_->run_step();
}

void Fit::finish_profile(const TrainObserver& observer) {
  state_.backend.synchronize();  // so that the range holds the device's work
  profile_range_.reset();
  if (observer.profile) observer.profile(profiler_->result());
  profiler_.reset();
}

void Fit::throw_if_not_finite() const {
  if (!state_.finite_check) return;
  const auto found = state_.finite_check->read();
  if (!found) return;
  // All batch sizes have the same parts.
  const StepPart& part = full_step_.parts()[static_cast<std::size_t>(found->part)];
  throw Error(fmt::format("step {}: the first NaN or infinity came out of {} ({})", found->step, part.label(),
                          part.type));
}

Progress Fit::progress(std::int64_t epoch, std::int64_t step) const {
  const double seen = static_cast<double>(std::min(count_, step * options_.batch_size));
  return {.epoch = epoch,
          .epochs = options_.epochs,
          .step = step,
          .steps = steps_,
          .images_per_second = seen / seconds_since(epoch_start_),
          .seconds = seconds_since(start_)};
}

}  // namespace convoy
