#include "apps/convoy/schedule_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "apps/convoy/flags.h"
#include "convoy/error.h"
#include "engine/core/step_table.h"
#include "engine/parallel/communicator.h"
#include "engine/train/batch_share.h"

namespace convoy {
namespace {

/// A flag, and the schedules that have it.
struct FlagOfSchedules {
  const char* flag;
  std::vector<std::string> schedules;
};

const std::vector<FlagOfSchedules>& flags_of_schedules() {
  static const std::vector<FlagOfSchedules> all = {
      {"--schedule-by", {"linear", "step", "multi-step", "exponential", "cosine", "one-cycle"}},
      {"--schedule-length", {"linear", "cosine", "one-cycle"}},
      {"--lr-end", {"linear", "cosine"}},
      {"--lr-step", {"step"}},
      {"--lr-milestones", {"multi-step"}},
      {"--lr-gamma", {"step", "multi-step", "exponential"}},
      {"--pct-start", {"one-cycle"}},
      {"--anneal", {"one-cycle"}},
      {"--div-factor", {"one-cycle"}},
      {"--final-div-factor", {"one-cycle"}},
      {"--cycle-momentum", {"one-cycle"}},
      {"--no-cycle-momentum", {"one-cycle"}},
      {"--base-momentum", {"one-cycle"}},
      {"--max-momentum", {"one-cycle"}},
      {"--three-phase", {"one-cycle"}},
  };
  return all;
}

void require_flag(bool given, const ScheduleFlags& flags, const char* example) {
  if (!given) throw UsageError(fmt::format("--schedule {} needs {}", flags.name, example));
}

/// Of the flags that were given, the first that the schedule does not have.
void refuse_flags_of_others(const ScheduleFlags& flags) {
  const auto given = [&](const std::string& flag) {
    return (flag == "--schedule-by" && flags.by) || (flag == "--schedule-length" && flags.length > 0) ||
           (flag == "--lr-end" && flags.end) || (flag == "--lr-step" && flags.step_size) ||
           (flag == "--lr-milestones" && !flags.milestones.empty()) ||
           (flag == "--lr-gamma" && flags.gamma) || (flag == "--pct-start" && flags.pct_start) ||
           (flag == "--anneal" && flags.anneal) || (flag == "--div-factor" && flags.div_factor) ||
           (flag == "--final-div-factor" && flags.final_div_factor) ||
           (flag == "--cycle-momentum" && flags.cycle_momentum == true) ||
           (flag == "--no-cycle-momentum" && flags.cycle_momentum == false) ||
           (flag == "--base-momentum" && flags.base_momentum) ||
           (flag == "--max-momentum" && flags.max_momentum) || (flag == "--three-phase" && flags.three_phase);
  };
  for (const auto& [flag, schedules] : flags_of_schedules()) {
    if (!given(flag) || std::ranges::find(schedules, flags.name) != schedules.end()) continue;
    throw UsageError(
        fmt::format("{} is for --schedule {}, not {}", flag, fmt::join(schedules, " or "), flags.name));
  }
  if (flags.warm_up_factor && flags.warm_up == 0) throw UsageError("--warmup-factor needs --warmup N");
}

OneCycleLR one_cycle(const ScheduleFlags& flags) {
  OneCycleLR cycle{.total_steps = flags.length, .three_phase = flags.three_phase};
  cycle.pct_start = flags.pct_start.value_or(cycle.pct_start);
  if (flags.anneal == "linear") cycle.anneal_strategy = OneCycleLR::AnnealStrategy::linear;
  cycle.cycle_momentum = flags.cycle_momentum.value_or(true);
  if (!cycle.cycle_momentum && (flags.base_momentum || flags.max_momentum)) {
    throw UsageError("--base-momentum and --max-momentum are without use to --no-cycle-momentum");
  }
  cycle.base_momentum = flags.base_momentum.value_or(cycle.base_momentum);
  cycle.max_momentum = flags.max_momentum.value_or(cycle.max_momentum);
  cycle.div_factor = flags.div_factor.value_or(cycle.div_factor);
  cycle.final_div_factor = flags.final_div_factor.value_or(cycle.final_div_factor);
  return cycle;
}

Scheduler scheduler_of(const ScheduleFlags& flags, double rate) {
  const double end = flags.end.value_or(0.0);
  if (flags.name == "linear") {
    const double factor = end / rate;
    constexpr double kOneInFloat = 1.0 + 1e-6;  // the engine's rate is a float
    if (factor > kOneInFloat) throw UsageError(fmt::format("--lr-end {} is above the --lr {}", end, rate));
    return LinearLR{.start_factor = 1.0, .end_factor = std::min(factor, 1.0), .total_iters = flags.length};
  }
  if (flags.name == "cosine") return CosineAnnealingLR{.T_max = flags.length, .eta_min = end};
  if (flags.name == "one-cycle") return one_cycle(flags);
  if (flags.name == "step") {
    require_flag(flags.step_size.has_value(), flags, "--lr-step N, as --lr-step 30");
    return StepLR{.step_size = *flags.step_size, .gamma = flags.gamma.value_or(0.1)};
  }
  if (flags.name == "multi-step") {
    require_flag(!flags.milestones.empty(), flags, "--lr-milestones N,N, as --lr-milestones 30,60");
    return MultiStepLR{.milestones = flags.milestones, .gamma = flags.gamma.value_or(0.1)};
  }
  if (flags.name == "exponential") {
    require_flag(flags.gamma.has_value(), flags, "--lr-gamma G, as --lr-gamma 0.95");
    return ExponentialLR{.gamma = *flags.gamma};
  }
  return ConstantLR{.factor = 1.0, .total_iters = 0};
}

/// Parameters of OneCycleLR.
void add_one_cycle_flags(CLI::App& command, ScheduleFlags& flags) {
  command.add_option("--pct-start", flags.pct_start, "one-cycle: the rise's part of it; without it 0.3");
  command.add_option("--anneal", flags.anneal, "one-cycle: cos or linear; without it cos")
      ->check(CLI::IsMember({"cos", "linear"}));
  command.add_option("--div-factor", flags.div_factor,
                     "one-cycle: --lr, the maximum, over the first rate; without it 25");
  command.add_option("--final-div-factor", flags.final_div_factor,
                     "one-cycle: the first rate over the last; without it 10000");
  command.add_flag_function(
      "--cycle-momentum,!--no-cycle-momentum",
      [&flags](std::int64_t value) { flags.cycle_momentum = value > 0; },
      "one-cycle: let the momentum (adam: beta1) go the other way, as it does without the flag, or leave it");
  command.add_option("--base-momentum", flags.base_momentum,
                     "one-cycle: the momentum at the maximum of the rate; without it 0.85");
  command.add_option("--max-momentum", flags.max_momentum,
                     "one-cycle: the momentum at the beginning and the end; without it 0.95");
  command.add_flag("--three-phase", flags.three_phase,
                   "one-cycle: down to the first rate in as many steps as up, then to the last");
}

}  // namespace

void add_schedule_flags(CLI::App& command, ScheduleFlags& flags) {
  command
      .add_option("--schedule", flags.name,
                  "How the learning rate goes on from --lr, as torch.optim.lr_scheduler has it: constant, "
                  "linear, step, multi-step, exponential, cosine or one-cycle")
      ->check(
          CLI::IsMember({"constant", "linear", "step", "multi-step", "exponential", "cosine", "one-cycle"}))
      ->capture_default_str();
  command
      .add_option("--schedule-by", flags.by,
                  "What the schedule counts, steps or epochs; without it steps for linear, cosine and "
                  "one-cycle, epochs for step, multi-step and exponential")
      ->check(CLI::IsMember({"steps", "epochs"}));
  command
      .add_option("--schedule-length", flags.length,
                  "linear, cosine, one-cycle: how many of those it has; 0: up to the training's end")
      ->check(at_least(0));
  command.add_option("--lr-end", flags.end, "linear, cosine: the learning rate at its end; without it 0");
  command.add_option("--lr-step", flags.step_size, "step: epochs (or steps) between two drops")
      ->check(at_least(1));
  command
      .add_option("--lr-milestones", flags.milestones,
                  "multi-step: the epochs (or steps) of its drops, as 30,60")
      ->delimiter(',')
      ->check(at_least(1));
  command
      .add_option("--lr-gamma", flags.gamma,
                  "step, multi-step, exponential: the factor of a drop; without it 0.1, exponential needs it")
      ->check(positive());
  add_one_cycle_flags(command, flags);
  command
      .add_option_function<std::string>(
          "--warmup",
          [&flags](const std::string& text) {
            constexpr std::size_t kMostDigits = 9;
            const StepsOrEpochs rise = steps_or_epochs("--warmup", text, kMostDigits);
            flags.warm_up = rise.count;
            flags.warm_up_by_epochs = rise.epochs;
          },
          "Let the rate rise along a line, step by step, in the first N steps or epochs (500, 2epochs); the "
          "schedule begins behind them")
      ->option_text("N[steps|epochs]");
  command.add_option("--warmup-factor", flags.warm_up_factor,
                     "The first step's part of --lr in a --warmup; without it 1/3, as PyTorch's LinearLR");
}

bool is_of_one_schedule(const std::string& flag) {
  return std::ranges::any_of(flags_of_schedules(),
                             [&](const FlagOfSchedules& of) { return of.flag == flag; });
}

Schedule schedule_of(const ScheduleFlags& flags, const OptimizerOptions& optimizer) {
  refuse_flags_of_others(flags);
  const double rate =
      std::visit([](const auto& options) { return double{options.learning_rate}; }, optimizer);
  const bool drops = flags.name == "step" || flags.name == "multi-step" || flags.name == "exponential";
  const bool by_epochs = flags.by.value_or(drops ? "epochs" : "steps") == "epochs";
  using Interval = Schedule::Interval;
  Schedule schedule{scheduler_of(flags, rate), by_epochs ? Interval::epoch : Interval::step};
  if (flags.warm_up > 0) {
    if (flags.name == "one-cycle") {
      throw UsageError("--schedule one-cycle warms up itself, see --pct-start: leave --warmup out");
    }
    const LinearLR rise{.start_factor = flags.warm_up_factor.value_or(1.0 / 3.0), .total_iters = 0};
    schedule = {SequentialLR{{{rise}, schedule}, {flags.warm_up}},
                flags.warm_up_by_epochs ? Interval::epoch : Interval::step};
  }
  check_schedule(step_rule(optimizer, schedule));
  return schedule;
}

void check_length(const TrainOptions& options, std::int64_t samples, const Communicator& group) {
  const std::int64_t steps = EpochShares(samples, options.batch_size, group.place()).steps();
  if (steps > 0) step_table(step_rule(options.optimizer, options.schedule, {steps, options.epochs * steps}));
}

Json describe(const Schedule& schedule) {
  return {{"schedule", is_constant(schedule) ? "constant" : in_words(schedule)}};
}

}  // namespace convoy
