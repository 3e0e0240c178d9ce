#include "engine/train/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.h"
#include "engine/data/order.h"
#include "kernels/schedule_math.h"

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
      shares_(steps.shares),
      full_step_(steps.full),
      rest_step_(steps.rest),
      full_steps_(shares_.full_steps),
      steps_(shares_.steps()),
      position_(state.position),
      begin_(done()),
      table_(step_table(state.counter->rule())),
      average_(options.swa ? options.epochs * steps_ : 0) {
  if (position_.step > steps_) {
    throw UsageError(fmt::format("{} steps of the epoch have been done, it has {} with this data set",
                                 position_.step, steps_));
  }
  if (options.profile_steps > 0) check_profile();
}

// A profile's steps are of the first epoch that runs, and of one batch size.
void Fit::check_profile() const {
  const std::int64_t left = std::max<std::int64_t>(full_steps_ - position_.step, 0);
  if (kProfileWarmup + options_.profile_steps <= left) return;
  throw UsageError(
      fmt::format("a profile of {} steps, {} before it, needs an epoch of {}: this one has {} of {} images",
                  options_.profile_steps, kProfileWarmup, options_.profile_steps + kProfileWarmup, left,
                  options_.batch_size));
}

void Fit::run(DeviceDataset& uploaded, const TrainObserver& observer, const bool& stop) {
  start_ = Clock::now();
  if (state_.finite_check) state_.finite_check->reset();  // of an earlier training, which ended there
  while (position_.epoch <= options_.epochs && !stop) {
    if (position_.step < steps_) {
      if (next_order_.empty()) next_order_ = order_of(position_.epoch);
      const std::int64_t begin = position_.step * shares_.full.rows;
      // All of the last batch may be other processes'.
      if (begin < std::ssize(next_order_)) uploaded.set_order(next_order_, begin, position_.epoch);
      next_order_.clear();
    }
    const trace::Range range(ranges().epoch, position_.epoch);
    run_epoch(observer, stop);
  }
}

std::vector<std::uint32_t> Fit::order_of(std::int64_t epoch) const {
  return shares_.order(shuffled_order(shares_.count, options_.seed, static_cast<std::uint32_t>(epoch)));
}

// What is left of the epoch. Before an observer is called everything is as a snapshot may find it.
void Fit::run_epoch(const TrainObserver& observer, const bool& stop) {
  epoch_start_ = Clock::now();
  epoch_begin_ = position_.step;
  if (position_.step == 0) state_.metrics->reset();
  while (position_.step < steps_ && !stop) {
    run_some(observer);
    observe_step(observer, stop);
  }
  // Before the device is waited for, which has up to a launch of steps to do.
  if (position_.epoch < options_.epochs && !stop) next_order_ = order_of(position_.epoch + 1);
  throw_if_not_finite();
  EpochReport report;
  if (observer.epoch) {
    const MetricsReading reading = read_metrics(state_);
    const auto samples = static_cast<double>(reading.samples);
    measure_speed();
    report = {progress(), reading.loss_sum / samples, static_cast<double>(reading.correct) / samples};
  }
  const Progress end = progress();
  const bool whole = position_.step == steps_;
  if (whole) position_ = {.epoch = position_.epoch + 1};
  if (observer.epoch) observer.epoch(report);
  if (whole && observer.save && is_due(options_.save_every)) observer.save(end);
}

// Behind one launch. What is due behind this step comes before anybody may end the training, so that one that
// goes on from here misses nothing.
void Fit::observe_step(const TrainObserver& observer, const bool& stop) {
  if (options_.log_every > 0 && position_.step % options_.log_every == 0) {
    throw_if_not_finite();
    if (observer.step) {
      const MetricsReading reading = read_metrics(state_);
      measure_speed();
      observer.step({progress(), reading.last_loss,
                     static_cast<double>(reading.correct) / static_cast<double>(reading.samples)});
    }
  }
  const bool within = position_.step < steps_;  // it is the epoch's end that is evaluated and saved
  if (within && observer.pause && is_due(options_.pause_every)) {
    read_metrics(state_);  // waits, so that what is timed behind this is of no step
    observer.pause(progress());
    if (stop) return;  // a state of this step would lack the epoch's report
  }
  if (observer.progress) observer.progress(progress());
  if (!within || stop) return;
  if (is_due(options_.save_every)) {
    if (state_.backend.group().size() > 1) read_metrics(state_);  // all are here, one saves
    if (observer.save) observer.save(progress());
  }
}

// Runs up to the next step behind which somebody wants to see something.
void Fit::run_some(const TrainObserver& observer) {
  const bool first = ran() == 0;
  const bool profiled = profiles(ran() + 1);
  const std::int64_t times = steps_at_once();
  const bool whole = position_.step < full_steps_;
  Step& step = whole ? full_step_ : *rest_step_;
  state_.idle = !whole && shares_.rest.rows == 0;
  if (profiled) {
    profile_one(step);
  } else {
    const trace::Range range(ranges().step, done() + 1);
    step.run(times);
  }
  position_.step += times;
  state_.counted += times;
  if (average_.wants(done())) state_.average->add();
  if (first && observer.first_step) {
    state_.backend.synchronize();
    observer.first_step();
  }
  if (profiled && !profiles(ran() + 1)) finish_profile(observer);
}

std::int64_t Fit::steps_at_once() const {
  if (ran() == 0 || position_.step >= full_steps_) return 1;
  if (options_.profile_steps > 0 && ran() < kProfileWarmup + options_.profile_steps) return 1;
  std::int64_t times = std::min(state_.backend.steps_per_launch(), full_steps_ - position_.step);
  if (options_.log_every > 0) {
    times = std::min(times, options_.log_every - position_.step % options_.log_every);
  }
  for (const std::int64_t every : {options_.save_every, options_.pause_every}) {
    if (every > 0) times = std::min(times, every - done() % every);
  }
  return std::min(times, average_.next_after(done()) - done());
}

bool Fit::profiles(std::int64_t step) const {
  return step > kProfileWarmup && step <= kProfileWarmup + options_.profile_steps;
}

void Fit::profile_one(Step& step) {
  if (!profiler_) {
    profile_range_.emplace(ranges().profile);
    profiler_.emplace(state_.backend, step);
  }
  const trace::Range range(ranges().step, done() + 1);
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

// Only where the device has just been waited for: what is launched may be far ahead of what is done.
void Fit::measure_speed() {
  const auto images =
      static_cast<double>(shares_.samples_in(position_.step) - shares_.samples_in(epoch_begin_));
  images_per_second_ = images / seconds_since(epoch_start_);
}

Progress Fit::progress() const {
  return {.epoch = position_.epoch,
          .epochs = options_.epochs,
          .step = position_.step,
          .steps = steps_,
          .images_per_second = images_per_second_,
          .seconds = seconds_since(start_),
          .learning_rate = step_scalars(table_, state_.counted).learning_rate};
}

}  // namespace convoy
