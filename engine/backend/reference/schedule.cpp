// Nothing here uses kernels/schedule_math.h or the table that it reads, which are checked against it.
#include "engine/backend/reference/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace convoy::reference {
namespace {

// One scheduler of PyTorch's: what it makes of the group when it is stepped to `epoch`, which PyTorch calls
// last_epoch whatever is counted. `length` is how many counts it has, for those that ask for all of them.
struct Stepped {
  double base_lr;
  double max_lr;  // OneCycleLR's
  double momentum;
  std::int64_t epoch;
  std::int64_t length;

  double counts() const { return static_cast<double>(epoch); }
  std::int64_t given(std::int64_t own) const { return own > 0 ? own : length; }

  ScheduledGroup operator()(const ConstantLR& s) const {
    const bool over = s.total_iters > 0 && epoch >= s.total_iters;
    return {over ? base_lr : base_lr * s.factor, momentum};
  }

  ScheduledGroup operator()(const LinearLR& s) const {
    const std::int64_t total = given(s.total_iters);
    const double done = static_cast<double>(std::min(epoch, total)) / static_cast<double>(total);
    return {base_lr * (s.start_factor * (1.0 - done) + s.end_factor * done), momentum};
  }

  ScheduledGroup operator()(const StepLR& s) const {
    return {base_lr * std::pow(s.gamma, std::floor(counts() / static_cast<double>(s.step_size))), momentum};
  }

  ScheduledGroup operator()(const MultiStepLR& s) const {
    const auto passed =
        std::ranges::count_if(s.milestones, [this](std::int64_t milestone) { return milestone <= epoch; });
    return {base_lr * std::pow(s.gamma, static_cast<double>(passed)), momentum};
  }

  ScheduledGroup operator()(const ExponentialLR& s) const {
    return {base_lr * std::pow(s.gamma, counts()), momentum};
  }

  ScheduledGroup operator()(const CosineAnnealingLR& s) const {
    const double angle = std::numbers::pi * counts() / static_cast<double>(given(s.T_max));
    return {s.eta_min + 0.5 * (base_lr - s.eta_min) * (1.0 + std::cos(angle)), momentum};
  }

  ScheduledGroup operator()(const OneCycleLR& s) const {
    const auto total = static_cast<double>(given(s.total_steps));
    const double initial = max_lr / s.div_factor, minimum = initial / s.final_div_factor;
    const double high = s.cycle_momentum ? s.max_momentum : momentum;
    const double low = s.cycle_momentum ? s.base_momentum : momentum;
    const double rise_ends = s.pct_start * total - 1.0, at = std::min(counts(), total - 1.0);
    const auto between = [&](double begin, double end, const ScheduledGroup& from, const ScheduledGroup& to) {
      const double part = end > begin ? (at - begin) / (end - begin) : 1.0;
      const bool linear = s.anneal_strategy == OneCycleLR::AnnealStrategy::linear;
      const double gone = linear ? part : 0.5 - 0.5 * std::cos(std::numbers::pi * part);
      return ScheduledGroup{from.lr + gone * (to.lr - from.lr),
                            from.momentum + gone * (to.momentum - from.momentum)};
    };
    const ScheduledGroup first{initial, high}, top{max_lr, low}, last{minimum, high};
    if (at <= rise_ends) return between(0.0, rise_ends, first, top);
    if (!s.three_phase) return between(std::min(rise_ends, total - 1.0), total - 1.0, top, last);
    const double fall_ends = 2.0 * s.pct_start * total - 2.0;
    if (at <= fall_ends) return between(rise_ends, fall_ends, top, first);
    return between(fall_ends, total - 1.0, first, last);
  }

  ScheduledGroup operator()(const SequentialLR&) const { return {}; }  // is taken apart below
};

std::int64_t steps_of(Schedule::Interval interval, const StepRule& rule) {
  return interval == Schedule::Interval::epoch ? rule.length.steps_per_epoch : 1;
}

// Of a part from behind the step `begin` to the step `end`.
ScheduledGroup group_of(const Schedule& part, const StepRule& rule, ScheduledGroup base, std::int64_t begin,
                        std::int64_t end, std::int64_t step) {
  const std::int64_t unit = steps_of(part.interval, rule);
  const double length = std::ceil(static_cast<double>(end - begin) / static_cast<double>(unit));
  const Stepped stepped{base.lr, rule.learning_rate, base.momentum, (step - 1 - begin) / unit,
                        static_cast<std::int64_t>(length)};
  return std::visit(stepped, part.scheduler);
}

}  // namespace

ScheduledGroup group_at(const StepRule& rule, std::int64_t step) {
  ScheduledGroup base{rule.learning_rate, rule.adam ? rule.beta1 : rule.momentum};
  const auto* const sequence = std::get_if<SequentialLR>(&rule.schedule.scheduler);
  if (sequence == nullptr) return group_of(rule.schedule, rule, base, 0, rule.length.total_steps, step);

  const std::int64_t unit = steps_of(rule.schedule.interval, rule);
  std::size_t current = 0;
  while (current < sequence->milestones.size() && step > sequence->milestones[current] * unit) ++current;
  for (std::size_t i = 0; i < sequence->schedulers.size(); ++i) {
    const auto* const cycle = std::get_if<OneCycleLR>(&sequence->schedulers[i].scheduler);
    if (cycle == nullptr) continue;
    if (i != current) base.lr = rule.learning_rate / cycle->div_factor;
    if (cycle->cycle_momentum && i != current) base.momentum = cycle->max_momentum;
  }
  const bool is_last = current == sequence->milestones.size();
  const std::int64_t begin = current == 0 ? 0 : sequence->milestones[current - 1] * unit;
  const std::int64_t end = is_last ? rule.length.total_steps : sequence->milestones[current] * unit;
  return group_of(sequence->schedulers[current], rule, base, begin, end, step);
}

}  // namespace convoy::reference
