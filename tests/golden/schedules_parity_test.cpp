// Every schedule against torch.optim.lr_scheduler, over whole runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/reference/schedule.h"
#include "engine/core/step_table.h"
#include "engine/data/order.h"
#include "kernels/schedule_math.h"
#include "tests/golden/parity.h"

namespace convoy::parity {
namespace {

using Json = nlohmann::json;

template <typename T>
void take(const Json& parameters, const char* name, T& value) {
  if (parameters.contains(name)) value = parameters.at(name).get<T>();
}

Scheduler one_cycle_from(const Json& p) {
  OneCycleLR s;
  take(p, "total_steps", s.total_steps);
  take(p, "pct_start", s.pct_start);
  take(p, "cycle_momentum", s.cycle_momentum);
  take(p, "base_momentum", s.base_momentum);
  take(p, "max_momentum", s.max_momentum);
  take(p, "div_factor", s.div_factor);
  take(p, "final_div_factor", s.final_div_factor);
  take(p, "three_phase", s.three_phase);
  if (p.value("anneal_strategy", "cos") == "linear") s.anneal_strategy = OneCycleLR::AnnealStrategy::linear;
  return s;
}

/// PyTorch's class and its keyword arguments; what is left out has Convoy's default, which must be PyTorch's.
Scheduler scheduler_from(const Json& p) {
  const std::string name = p.at("name");
  if (name == "OneCycleLR") return one_cycle_from(p);
  if (name == "ConstantLR") {
    ConstantLR s;
    take(p, "factor", s.factor);
    take(p, "total_iters", s.total_iters);
    return s;
  }
  if (name == "LinearLR") {
    LinearLR s;
    take(p, "start_factor", s.start_factor);
    take(p, "end_factor", s.end_factor);
    take(p, "total_iters", s.total_iters);
    return s;
  }
  if (name == "StepLR") {
    StepLR s;
    take(p, "step_size", s.step_size);
    take(p, "gamma", s.gamma);
    return s;
  }
  if (name == "MultiStepLR") {
    MultiStepLR s;
    take(p, "milestones", s.milestones);
    take(p, "gamma", s.gamma);
    return s;
  }
  if (name == "ExponentialLR") return ExponentialLR{.gamma = p.at("gamma")};
  if (name == "CosineAnnealingLR") {
    CosineAnnealingLR s;
    take(p, "T_max", s.T_max);
    take(p, "eta_min", s.eta_min);
    return s;
  }
  throw Error("golden: no scheduler " + name);
}

Schedule schedule_from(const Json& p, Schedule::Interval interval) {
  if (p.at("name") != "SequentialLR") return {scheduler_from(p), interval};
  SequentialLR sequence{.schedulers = {}, .milestones = p.at("milestones")};
  for (const Json& part : p.at("schedulers")) {
    sequence.schedulers.push_back({scheduler_from(part), interval});
  }
  return {sequence, interval};
}

OptimizerOptions optimizer_from(const Json& c) {
  const auto rate = c.at("rate").get<float>();
  if (c.at("optimizer") == "SGD") return SgdOptions{.learning_rate = rate, .momentum = 0.9f};
  return AdamOptions{.learning_rate = rate};
}

/// A run of torch.optim.lr_scheduler.
struct GoldenRun {
  GoldenRun(const Json& c)
      : name(c.at("scheduler").dump() + c.at("optimizer").dump()),
        rates(c.at("rates").get<std::vector<double>>()),
        momenta(c.at("momenta").get<std::vector<double>>()) {
    const std::int64_t per_epoch = c.at("steps_per_epoch");
    rule = step_rule(optimizer_from(c),
                     schedule_from(c.at("scheduler"),
                                   per_epoch > 1 ? Schedule::Interval::epoch : Schedule::Interval::step),
                     {per_epoch, std::ssize(rates)});
  }

  /// PyTorch makes most rates from those of the step before, by up to four roundings each.
  double tolerance() const {
    return 4 * static_cast<double>(rates.size()) * 0x1p-53 * std::ranges::max(rates);
  }

  std::string name;
  StepRule rule;
  std::vector<double> rates, momenta;  // by step
};

std::vector<GoldenRun> golden_runs() {
  const Json golden = golden_json("schedules.json");
  std::vector<GoldenRun> runs;
  for (const Json& c : golden.at("cases")) runs.emplace_back(c);
  return runs;
}

// Momenta are below 1.
TEST(SchedulesParity, TheTableIsPyTorchsInDouble) {
  const std::vector<GoldenRun> runs = golden_runs();
  ASSERT_EQ(runs.size(), 50u);
  for (const GoldenRun& run : runs) {
    SCOPED_TRACE(run.name);
    const StepTable table = step_table(run.rule);
    for (std::size_t i = 0; i < run.rates.size(); ++i) {
      const StepRates rates = step_rates(table, static_cast<std::int64_t>(i) + 1);
      EXPECT_NEAR(rates.learning_rate, run.rates[i], run.tolerance()) << "step " << i + 1;
      EXPECT_NEAR(rates.momentum, run.momenta[i], 8 * 0x1p-52) << "step " << i + 1;
    }
  }
}

TEST(SchedulesParity, TheReferenceIsPyTorchsInDouble) {
  for (const GoldenRun& run : golden_runs()) {
    SCOPED_TRACE(run.name);
    for (std::size_t i = 0; i < run.rates.size(); ++i) {
      const auto group = reference::group_at(run.rule, static_cast<std::int64_t>(i) + 1);
      EXPECT_NEAR(group.lr, run.rates[i], run.tolerance()) << "step " << i + 1;
      EXPECT_NEAR(group.momentum, run.momenta[i], 8 * 0x1p-52) << "step " << i + 1;
    }
  }
}

class ScheduleParity : public ParityTest {};

// Rounded to floats, by half a unit in the last place: 2^-24 of it.
TEST_P(ScheduleParity, TheCounterIsPyTorchsAtEveryStep) {
  for (const GoldenRun& run : golden_runs()) {
    SCOPED_TRACE(run.name);
    StepRule constant = run.rule;
    constant.schedule = {};
    const auto counter = backend().make_counter(constant);
    counter->set_rule(run.rule);
    for (std::size_t i = 0; i < run.rates.size(); ++i) {
      counter->advance();
      const StepScalars scalars = counter->scalars();
      const double step = static_cast<double>(i + 1), rate = run.rates[i], momentum = run.momenta[i];
      EXPECT_NEAR(scalars.learning_rate, rate, run.tolerance() + 0x1p-24 * rate) << "step " << step;
      EXPECT_NEAR(run.rule.adam ? scalars.beta1 : scalars.momentum, momentum, 0x1p-24) << "step " << step;
      // PyTorch corrects by the beta1 of the step, all of whose powers it takes.
      const double size = run.rule.adam ? rate / (1.0 - std::pow(momentum, step)) : rate;
      EXPECT_NEAR(scalars.step_size, size, 20 * run.tolerance() + 0x1p-23 * size) << "step " << step;
    }
  }
}

/// The golden samples in such an order that a Trainer's first epoch visits them as PyTorch did.
Dataset samples_for_one_epoch(std::size_t count, std::uint64_t seed) {
  const Dataset samples = golden_samples();
  const std::size_t pixels = static_cast<std::size_t>(samples.image.count());
  const auto order = shuffled_order(static_cast<std::int64_t>(count), seed, 1);
  Dataset data = samples;
  data.pixels.resize(count * pixels);
  data.labels.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    data.labels[order[i]] = samples.labels[i];
    std::copy_n(samples.pixels.begin() + static_cast<std::ptrdiff_t>(i * pixels), pixels,
                data.pixels.begin() + static_cast<std::ptrdiff_t>(order[i] * pixels));
  }
  return data;
}

// Softmax regression is convex: rounding stays rounding, where a ReLU or a max pool would make more of it.
TEST_P(ScheduleParity, LossesOfTrainings) {
  Model model;
  model.name = "softmax regression";
  model.input = {1, 28, 28};
  model.layers = {{"flatten", Flatten{}}, {"fc", Linear{28 * 28, 10}}};
  StateDict zeros = initial_state(model, 1);
  for (auto& [name, tensor] : zeros) std::ranges::fill(tensor.values, 0.0);
  const Json golden = golden_json("schedules.json");
  for (const Json& c : golden.at("trainings")) {
    SCOPED_TRACE(c.at("scheduler").dump() + c.at("optimizer").dump());
    const auto expected = c.at("losses").get<std::vector<double>>();
    ASSERT_EQ(expected.size(), 60u);
    TrainOptions options{.batch_size = 100, .epochs = 1, .optimizer = optimizer_from(c)};
    options.schedule = schedule_from(c.at("scheduler"), Schedule::Interval::step);
    options.log_every = 1;
    const StepTable table = step_table(step_rule(options.optimizer, options.schedule, {60, 60}));
    Trainer trainer(backend(), model, zeros, options);
    std::size_t steps = 0;
    TrainObserver observer;
    // A loss is off by the roundings of its logits, sums of 784 products of up to 4 that grow like the square
    // root of their number, and as much again by those of the weights.
    const double tolerance = std::max(2 * 4 * epsilon() * std::sqrt(784.0), 1e-10);
    observer.step = [&](const StepReport& report) {
      EXPECT_NEAR(report.loss, expected.at(steps), tolerance) << "step " << steps + 1;
      ++steps;
      EXPECT_EQ(report.learning_rate, step_scalars(table, static_cast<std::int64_t>(steps)).learning_rate);
    };
    trainer.fit(samples_for_one_epoch(6000, options.seed), observer);
    EXPECT_EQ(steps, 60u);
  }
}

INSTANTIATE_TEST_SUITE_P(, ScheduleParity, testing::ValuesIn(backends()), test_name);

}  // namespace
}  // namespace convoy::parity
