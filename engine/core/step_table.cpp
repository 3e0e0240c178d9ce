#include "engine/core/step_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "convoy/error.h"

namespace convoy {
namespace {

using Form = StepSegment::Form;

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

std::int64_t steps_a_count(Schedule::Interval interval, const TrainingLength& length) {
  if (interval == Schedule::Interval::step) return 1;
  if (length.steps_per_epoch > 0) return length.steps_per_epoch;
  throw UsageError(
      "the schedule counts epochs, and nothing says how many steps one has: give steps_per_epoch");
}

/// Adds the segments of one scheduler after the other.
class Compiler {
 public:
  Compiler(const StepRule& rule, StepTable& table) : rule_(rule), table_(table) {
    momentum_ = rule.adam ? rule.beta1 : rule.momentum;
    base_ = rule.learning_rate;
  }

  /// The rate that all are fractions of, and the momentum until another is said, where a sequence has a
  /// cycle.
  void begin_beside(const OneCycleLR& cycle) {
    base_ /= cycle.div_factor;
    if (cycle.cycle_momentum) momentum_ = cycle.max_momentum;
  }

  /// Of a scheduler from behind the step `origin` to the step `end`, kNever if it is the last one.
  void add(const Schedule& schedule, std::int64_t origin, std::int64_t end) {
    origin_ = origin;
    end_ = end;
    interval_ = steps_a_count(schedule.interval, rule_.length);
    std::visit([this](const auto& scheduler) { add(scheduler); }, schedule.scheduler);
  }

  std::int64_t last_step() const { return last_step_; }

 private:
  void add(const ConstantLR& s) {
    hold(0, base_ * s.factor, momentum_);
    if (s.total_iters > 0 && s.factor != 1.0) hold(s.total_iters, base_, momentum_);
  }

  void add(const LinearLR& s) {
    const std::int64_t length = length_of("LinearLR: total_iters", s.total_iters);
    push(0, Form::line, 0.0, static_cast<double>(length), base_ * s.start_factor, base_ * s.end_factor,
         momentum_, momentum_);
    hold(length, base_ * s.end_factor, momentum_);
  }

  void add(const StepLR& s) {
    push(0, Form::power, 0.0, static_cast<double>(s.step_size), base_, s.gamma, momentum_, momentum_);
  }

  void add(const MultiStepLR& s) {
    double rate = base_;
    hold(0, rate, momentum_);
    for (const std::int64_t milestone : s.milestones) hold(milestone, rate *= s.gamma, momentum_);
  }

  void add(const ExponentialLR& s) { push(0, Form::power, 0.0, 1.0, base_, s.gamma, momentum_, momentum_); }

  void add(const CosineAnnealingLR& s) {
    const std::int64_t length = length_of("CosineAnnealingLR: T_max", s.T_max);
    push(0, Form::cosine, 0.0, static_cast<double>(length), base_, s.eta_min, momentum_, momentum_);
  }

  void add(const OneCycleLR& s);
  void add(const SequentialLR&) { throw Error("a SequentialLR in another"); }  // was checked

  /// In counts; `given` or, if that is 0, up to where the next scheduler or the training ends.
  std::int64_t length_of(const char* what, std::int64_t given) const {
    if (given > 0) return given;
    const std::int64_t end = end_ == kNever ? rule_.length.total_steps : end_;
    if (end == 0) {
      throw UsageError(
          fmt::format("{} 0 means up to the training's end, which is not known here: give a length, or the "
                      "training's total_steps",
                      what));
    }
    if (end <= origin_) {
      throw UsageError(
          fmt::format("{} reaches to the training's end, but it begins behind {} steps and the training has "
                      "{}: train longer, or warm up for less",
                      what, origin_, end));
    }
    return (end - origin_ + interval_ - 1) / interval_;
  }

  void hold(std::int64_t first, double rate, double momentum) {
    push(first, Form::line, 0.0, 1.0, rate, rate, momentum, momentum);
  }

  /// Adds what begins with the count `first`, unless the next scheduler does before.
  void push(std::int64_t first, Form form, double start, double span, double rate_from, double rate_to,
            double momentum_from, double momentum_to) {
    if (first > (std::numeric_limits<std::int32_t>::max)() || origin_ + first * interval_ >= end_) return;
    if (table_.count == kMaxSegments) {
      throw UsageError(
          fmt::format("the schedule changes its course more than {} times: write it with fewer milestones",
                      kMaxSegments));
    }
    table_.segments[table_.count++] = {.form = form,
                                       .begin = origin_ + first * interval_ + 1,
                                       .origin = static_cast<double>(origin_),
                                       .interval = static_cast<double>(interval_),
                                       .start = start,
                                       .span = span,
                                       .rate_from = rate_from,
                                       .rate_to = rate_to,
                                       .momentum_from = momentum_from,
                                       .momentum_to = momentum_to};
  }

  const StepRule& rule_;
  StepTable& table_;
  double base_ = 0.0;
  double momentum_ = 0.0;
  std::int64_t origin_ = 0;
  std::int64_t end_ = kNever;
  std::int64_t interval_ = 1;
  std::int64_t last_step_ = 0;
};

// A phase holds the counts above the end of the one before it, up to its own end, which need not be whole.
void Compiler::add(const OneCycleLR& s) {
  struct Phase {
    double end, rate_from, rate_to, momentum_from, momentum_to;
  };
  const std::int64_t length = length_of("OneCycleLR: total_steps", s.total_steps);
  const auto total = static_cast<double>(length);
  const double highest = rule_.learning_rate, first = highest / s.div_factor,
               last = first / s.final_div_factor;
  const double slow = s.cycle_momentum ? s.max_momentum : momentum_;
  const double fast = s.cycle_momentum ? s.base_momentum : momentum_;
  std::vector<Phase> phases = {{s.pct_start * total - 1.0, first, highest, slow, fast}};
  if (s.three_phase) {
    phases.push_back({2.0 * s.pct_start * total - 2.0, highest, first, fast, slow});
    phases.push_back({total - 1.0, first, last, slow, slow});
  } else {
    phases.push_back({total - 1.0, highest, last, fast, slow});
  }
  const Form form = s.anneal_strategy == OneCycleLR::AnnealStrategy::cos ? Form::cosine : Form::line;
  double start = 0.0;
  std::int64_t next = 0;  // the first count that no phase has yet
  Phase latest = phases.front();
  for (const Phase& phase : phases) {
    const bool final = &phase == &phases.back();
    const std::int64_t behind =
        final ? length : std::min(length, static_cast<std::int64_t>(std::floor(phase.end)) + 1);
    if (behind > next) {
      // A phase without a length has its end's rate, where PyTorch divides by zero.
      if (phase.end > start) {
        push(next, form, start, phase.end - start, phase.rate_from, phase.rate_to, phase.momentum_from,
             phase.momentum_to);
      } else {
        hold(next, phase.rate_to, phase.momentum_to);
      }
      next = behind;
      latest = phase;
    }
    start = phase.end;
  }
  momentum_ = latest.momentum_to;
  hold(length, latest.rate_to, latest.momentum_to);
  const std::int64_t last_step = origin_ + length * interval_;
  if (end_ == kNever) {
    last_step_ = last_step;
  } else if (last_step != end_) {
    throw UsageError(
        fmt::format("OneCycleLR: it ends after step {}, and the next scheduler begins after step {}: set "
                    "total_steps to 0",
                    last_step, end_));
  }
}

struct Compiled {
  StepTable table;
  std::int64_t last_step = 0;
};

Compiled compile(const StepRule& rule) {
  check_schedule(rule);
  const auto [steps_per_epoch, total_steps] = rule.length;
  if (steps_per_epoch < 0 || total_steps < 0) {
    throw UsageError(fmt::format("a training of {} steps with {} in an epoch", total_steps, steps_per_epoch));
  }
  Compiled result;
  StepTable& table = result.table;
  table.adam = rule.adam;
  table.beta2 = rule.beta2;
  Compiler compiler(rule, table);
  const auto* const sequence = std::get_if<SequentialLR>(&rule.schedule.scheduler);
  if (sequence == nullptr) {
    compiler.add(rule.schedule, 0, kNever);
  } else {
    for (const Schedule& part : sequence->schedulers) {
      if (const auto* cycle = std::get_if<OneCycleLR>(&part.scheduler)) compiler.begin_beside(*cycle);
    }
    const std::int64_t interval = steps_a_count(rule.schedule.interval, rule.length);
    for (std::size_t i = 0; i < sequence->schedulers.size(); ++i) {
      const std::int64_t begin = i == 0 ? 0 : sequence->milestones[i - 1] * interval;
      const bool is_last = i + 1 == sequence->schedulers.size();
      compiler.add(sequence->schedulers[i], begin, is_last ? kNever : sequence->milestones[i] * interval);
    }
  }
  result.last_step = compiler.last_step();
  if (result.last_step > 0 && total_steps > result.last_step) {
    throw UsageError(fmt::format(
        "OneCycleLR: it ends after step {}, and the training has {}: give it more total_steps, or 0 for "
        "all of them",
        result.last_step, total_steps));
  }
  return result;
}

}  // namespace

StepTable step_table(const StepRule& rule) { return compile(rule).table; }

std::int64_t last_step(const StepRule& rule) { return compile(rule).last_step; }

}  // namespace convoy
