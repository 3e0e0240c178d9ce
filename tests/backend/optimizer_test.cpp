// Adam, AdamW and SGD on every backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class OptimizerTest : public BackendTest {};

/// Parameters, their counter and optimizer on one backend.
class PlacedOptimizer {
 public:
  PlacedOptimizer(Backend& backend, const std::vector<HostTensor>& parameters,
                  const OptimizerOptions& options, const Schedule& schedule = {})
      : backend_(backend),
        arena_(place_parameters(backend, parameters)),
        counter_(backend.make_counter(step_rule(options, schedule))),
        optimizer_(backend.make_optimizer(*arena_, *counter_, options)) {}

  void step(const std::vector<HostTensor>& gradients) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      backend_.write(*arena_->variables()[i].grad, gradients[i].values);
    }
    counter_->advance();
    optimizer_->step();
  }

  Values parameter(std::size_t i) const { return backend_.read(*arena_->variables()[i].value); }
  StepCounter& counter() { return *counter_; }

 private:
  Backend& backend_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<Optimizer> optimizer_;
};

TEST_P(OptimizerTest, AdamsFirstStepIsTheLearningRateByHand) {
  // Bias correction undoes both decays: the first step is lr g / (|g| + eps).
  PlacedOptimizer adam(backend(), {{{4}, {1, 1, 1, 1}}},
                       AdamOptions{.learning_rate = 0.25f, .epsilon = 0.5f});
  adam.step({{{4}, {0.5, -0.5, 1.5, 0}}});
  EXPECT_THAT(adam.parameter(0), RelativelyNear({0.875, 1.125, 0.8125, 1}, 4 * backend().epsilon()));
}

// Parameters move by lr (m buffer + g + decay w) and nesterov by lr (g + decay w + m buffer); all in binary
// fractions, so without a rounding.
TEST_P(OptimizerTest, SgdByHand) {
  const HostTensor start{{2}, {1, -2}};
  const HostTensor gradient{{2}, {0.5, 1}};
  const struct {
    SgdOptions options;
    Values first, second;
  } cases[] = {
      {{.learning_rate = 0.5f}, {0.75, -2.5}, {0.5, -3}},
      {{.learning_rate = 0.5f, .weight_decay = 0.25f}, {0.625, -2.25}, {0.296875, -2.46875}},
      {{.learning_rate = 0.5f, .momentum = 0.5f}, {0.75, -2.5}, {0.375, -3.25}},
      {{.learning_rate = 0.5f, .momentum = 0.5f, .nesterov = true}, {0.625, -2.75}, {0.1875, -3.625}},
  };
  for (const auto& c : cases) {
    PlacedOptimizer sgd(backend(), {start}, c.options);
    sgd.step({gradient});
    EXPECT_THAT(sgd.parameter(0), Exactly(c.first));
    sgd.step({gradient});
    EXPECT_THAT(sgd.parameter(0), Exactly(c.second));
  }
}

// w = torch.tensor([1, -2, 0.5]); torch.optim.X([w], lr=float32(...), ...) in double (PyTorch 1.13), where
// float32 rounds as Convoy's options do.
TEST_P(OptimizerTest, AgreesWithPyTorch) {
  const std::vector<Values> gradients = {{0.5, -1, 0}, {0.25, 2, 1e-3}, {-1, 0.5, -4}};
  const auto adam = [](float decay, bool decoupled) {
    return AdamOptions{.learning_rate = 0.01f, .weight_decay = decay, .decoupled_weight_decay = decoupled};
  };
  const auto sgd = [](float momentum, float decay, bool nesterov) {
    return SgdOptions{
        .learning_rate = 0.05f, .momentum = momentum, .weight_decay = decay, .nesterov = nesterov};
  };
  const struct {
    std::string name;
    OptimizerOptions options;
    Values expected;
  } cases[] = {
      {"Adam", adam(0, false), {0.9827417749454421, -1.9978175475810749, 0.4989454355144546}},
      {"Adam, decay", adam(0.1f, false), {0.9810377045513055, -1.9952577699627556, 0.48624893692659465}},
      {"AdamW without decay", adam(0, true), {0.9827417749454421, -1.9978175475810749, 0.4989454355144546}},
      {"AdamW", adam(0.1f, true), {0.9797740857625684, -1.991839874589623, 0.49745437628853034}},
      {"SGD", sgd(0, 0, false), {1.0125000001862645, -2.075000001117587, 0.6999500029794872}},
      {"SGD, decay", sgd(0, 0.1f, false), {0.9978867497576122, -2.0451485002323424, 0.6924876902582106}},
      {"momentum", sgd(0.9f, 0, false), {0.9585000013485551, -2.0795000021383165, 0.6999050029800087}},
      {"momentum, decay",
       sgd(0.9f, 0.1f, false),
       {0.9311067509895656, -2.024088501392398, 0.6859401902915147}},
      {"Nesterov", sgd(0.9f, 0, true), {0.9751500023894011, -2.146550001146644, 0.8798645008953884}},
      {"Nesterov, decay",
       sgd(0.9f, 0.1f, true),
       {0.9367604330392572, -2.0675146124021184, 0.8599163246508601}},
  };
  for (const auto& c : cases) {
    PlacedOptimizer optimizer(backend(), {{{3}, {1, -2, 0.5}}}, c.options);
    for (const Values& gradient : gradients) optimizer.step({{{3}, gradient}});
    EXPECT_THAT(optimizer.parameter(0), RelativelyNear(c.expected, 4 * backend().epsilon())) << c.name;
  }
}

// The same gradients and a torch.optim.lr_scheduler.LinearLR(optimizer, 0.25, 1, total_iters=2), stepped
// after each of them.
TEST_P(OptimizerTest, FollowsTheScheduleAsPyTorchDoes) {
  const std::vector<Values> gradients = {{0.5, -1, 0}, {0.25, 2, 1e-3}, {-1, 0.5, -4}};
  const Schedule schedule{LinearLR{.start_factor = 0.25, .total_iters = 2}};
  const auto adam = [](bool decoupled) {
    return AdamOptions{.learning_rate = 0.01f, .weight_decay = 0.1f, .decoupled_weight_decay = decoupled};
  };
  const struct {
    OptimizerOptions options;
    Values expected;
  } cases[] = {
      {adam(false), {0.9921015475589673, -2.0018237939726506, 0.4974955359558957}},
      {adam(true), {0.9918733662517256, -2.0001984941074866, 0.5008035754742499}},
      {SgdOptions{.learning_rate = 0.05f, .momentum = 0.9f, .weight_decay = 0.1f, .nesterov = true},
       {0.9998548484480341, -2.1054870367767142, 0.8659446159589456}},
  };
  for (const auto& c : cases) {
    PlacedOptimizer optimizer(backend(), {{{3}, {1, -2, 0.5}}}, c.options, schedule);
    for (const Values& gradient : gradients) optimizer.step({{{3}, gradient}});
    EXPECT_THAT(optimizer.parameter(0), RelativelyNear(c.expected, 4 * backend().epsilon()));
  }
}

// The learning rates of torch.optim.lr_scheduler.LinearLR(optimizer, 0.25, 0.75, total_iters=6) in PyTorch
// 1.13, whose optimizer was made with float32(0.001); the constant one's are all the same.
TEST_P(OptimizerTest, TheScalarsOfAStepArePyTorchs) {
  const Values linear_rates = {0.0002500000118743628, 0.0003333333491658171, 0.00041666668645727134,
                               0.0005000000237487255, 0.0005833333610401799, 0.0006666666983316341,
                               0.0007500000356230883, 0.0007500000356230883, 0.0007500000356230883};
  const AdamOptions adam;
  const Schedule linear{LinearLR{.start_factor = 0.25, .end_factor = 0.75, .total_iters = 6}};
  for (const Schedule& schedule : {Schedule{}, linear}) {
    const auto counter = backend().make_counter(step_rule(adam, schedule));
    for (std::size_t i = 0; i < linear_rates.size(); ++i) {
      counter->advance();
      const double rate = schedule == linear ? linear_rates[i] : adam.learning_rate;
      const double beta1 = adam.beta1, beta2 = adam.beta2, step = static_cast<double>(i + 1);
      const StepScalars scalars = counter->scalars();
      EXPECT_EQ(scalars.step, static_cast<std::int64_t>(i + 1));
      EXPECT_FLOAT_EQ(scalars.learning_rate, static_cast<float>(rate));
      EXPECT_FLOAT_EQ(scalars.step_size, static_cast<float>(rate / (1 - std::pow(beta1, step))));
      EXPECT_FLOAT_EQ(scalars.inverse_sqrt_bias2,
                      static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step))));
      EXPECT_EQ(scalars.momentum, 0.0f);
    }
  }
  const auto counter = backend().make_counter(step_rule(SgdOptions{.learning_rate = 0.5f, .momentum = 0.9f}));
  counter->advance();
  EXPECT_EQ(counter->scalars(), (StepScalars{1, 0.5f, 0.5f, 1.0f, 0.9f}));
}

// A step that was recorded takes each time the learning rate of its number.
TEST_P(OptimizerTest, ARecordedStepFollowsTheSchedule) {
  const SgdOptions options{.learning_rate = 1.0f};
  const Schedule schedule{LinearLR{.start_factor = 0.25, .total_iters = 3}};
  const auto arena = place_parameters(backend(), {zeros({1})});
  const auto counter = backend().make_counter(step_rule(options, schedule));
  const auto sgd = backend().make_optimizer(*arena, *counter, options);
  backend().write(*arena->variables()[0].grad, Values{-1});
  const auto step = backend().record([&] {
    counter->advance();
    sgd->step();
  });
  double expected = 0.0;
  for (const double rate : {0.25, 0.5, 0.75, 1.0, 1.0}) {
    step->run(1);
    expected += rate;
    EXPECT_THAT(backend().read(*arena->variables()[0].value), Exactly({expected}));
  }
}

/// How far the backend's parameters and the reference's are apart after a hundred steps in `tensor`s of every
/// alignment, and how large they became.
struct HundredSteps {
  double error = 0.0;
  double largest = 0.0;
};

HundredSteps run_hundred_steps(Backend& backend, Backend& truth, const OptimizerOptions& options,
                               double burst) {
  const std::vector<HostTensor> start = {normals({17, 3, 5, 5}, 1), normals({17}, 2), normals({1}, 3)};
  PlacedOptimizer actual(backend, start, options), expected(truth, start, options);
  HundredSteps result;
  for (std::uint64_t step = 0; step < 100; ++step) {
    const double scale = step % 10 == 0 ? burst : 1.0;  // as in training
    const std::vector<HostTensor> gradients = {normals({17, 3, 5, 5}, 100 + 3 * step, 0.0, scale),
                                               normals({17}, 101 + 3 * step), normals({1}, 102 + 3 * step)};
    actual.step(gradients);
    expected.step(gradients);
    for (const double p : expected.parameter(0)) result.largest = std::max(result.largest, std::abs(p));
  }
  for (std::size_t i = 0; i < start.size(); ++i) {
    const Values left = actual.parameter(i), right = expected.parameter(i);
    for (std::size_t k = 0; k < right.size(); ++k) {
      result.error = std::max(result.error, std::abs(left[k] - right[k]));
    }
  }
  return result;
}

// A step rounds the parameter (half an epsilon of it) and the moments. Their decays remember 1 / (1 - beta)
// steps, so their errors stay below 10 and 100 roundings in 100 steps, which the quotient sees as at most 60
// epsilon of a step of the learning rate.
TEST_P(OptimizerTest, AdamStaysWithTheReferenceForAHundredSteps) {
  for (const bool decoupled : {false, true}) {
    const AdamOptions options{
        .learning_rate = 0.01f, .weight_decay = 0.01f, .decoupled_weight_decay = decoupled};
    const HundredSteps run = run_hundred_steps(backend(), truth(), options, 100.0);
    EXPECT_LE(run.error, 100 * backend().epsilon() * (0.5 * run.largest + 60 * options.learning_rate))
        << "decoupled " << decoupled;
  }
}

// Here too a step rounds the parameter once. Its buffer remembers 10 steps, holds at most 10 gradients of at
// most 5 deviations, and errs by at most 3 roundings a step of what it holds; nesterov adds one more.
TEST_P(OptimizerTest, SgdStaysWithTheReferenceForAHundredSteps) {
  for (const bool nesterov : {false, true}) {
    const SgdOptions options{
        .learning_rate = 0.01f, .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = nesterov};
    const HundredSteps run = run_hundred_steps(backend(), truth(), options, 10.0);
    const double buffer = 10 * 5 * 10.0;
    EXPECT_LE(run.error, 100 * backend().epsilon() * (0.5 * run.largest + 4 * options.learning_rate * buffer))
        << "nesterov " << nesterov;
  }
}

TEST_P(OptimizerTest, AdamReadsTheCounterAndDoesNotCountItself) {
  const AdamOptions options{.learning_rate = 0.5f, .epsilon = 0.0f};
  PlacedOptimizer adam(backend(), {{{1}, {0}}}, options);
  adam.counter().write(999);
  adam.step({{{1}, {1}}});
  EXPECT_EQ(adam.counter().read(), 1000);
  const double beta1 = options.beta1, beta2 = options.beta2;
  const double expected = -0.5 * ((1 - beta1) / (1 - std::pow(beta1, 1000))) /
                          std::sqrt((1 - beta2) / (1 - std::pow(beta2, 1000)));
  // 1 - beta2 in float is off by less than an epsilon of beta2, a thousand of itself: half of that in a root.
  EXPECT_THAT(adam.parameter(0), RelativelyNear({expected}, 500 * backend().epsilon()));
}

TEST_P(OptimizerTest, NeedsGradients) {
  const auto arena = place_parameters(backend(), {zeros({3})}, false);
  const auto counter = backend().make_counter();
  for (const OptimizerOptions& options : {OptimizerOptions(AdamOptions{}), OptimizerOptions(SgdOptions{})}) {
    EXPECT_THAT(usage_error([&] { backend().make_optimizer(*arena, *counter, options); }),
                HasSubstr("gradients"));
  }
}

TEST_P(OptimizerTest, RefusesOptionsThatCannotBe) {
  const auto arena = place_parameters(backend(), {zeros({3})});
  const auto counter = backend().make_counter();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto refusal = [&](const OptimizerOptions& options) {
    return usage_error([&] { backend().make_optimizer(*arena, *counter, options); });
  };
  for (const float rate : {0.0f, -1.0f, kNan, kInfinity}) {
    EXPECT_THAT(refusal(AdamOptions{.learning_rate = rate}), StartsWith("Adam: learning rate"));
    EXPECT_THAT(refusal(SgdOptions{.learning_rate = rate}), StartsWith("SGD: learning rate"));
  }
  EXPECT_THAT(refusal(AdamOptions{.learning_rate = -0.5f}), HasSubstr("-0.5"));
  for (const float decay : {-0.25f, kNan, kInfinity}) {
    EXPECT_THAT(refusal(AdamOptions{.weight_decay = decay, .decoupled_weight_decay = true}),
                StartsWith("AdamW: weight decay"));
    EXPECT_THAT(refusal(SgdOptions{.weight_decay = decay}), StartsWith("SGD: weight decay"));
  }
  for (const float beta : {1.0f, -0.5f, kNan}) {
    EXPECT_THAT(refusal(AdamOptions{.beta1 = beta}), HasSubstr("beta1"));
    EXPECT_THAT(refusal(AdamOptions{.beta2 = beta}), HasSubstr("beta2"));
  }
  EXPECT_THAT(refusal(AdamOptions{.epsilon = -1e-8f}), HasSubstr("epsilon -1e-08"));
  EXPECT_THAT(refusal(AdamOptions{.epsilon = kInfinity}), HasSubstr("epsilon inf"));
  EXPECT_THAT(refusal(SgdOptions{.momentum = -0.5f}), HasSubstr("momentum -0.5"));
  EXPECT_THAT(refusal(SgdOptions{.momentum = kNan}), HasSubstr("momentum nan"));
  EXPECT_THAT(refusal(SgdOptions{.nesterov = true}), HasSubstr("nesterov"));
  EXPECT_THAT(refusal(AdamOptions{}), HasSubstr("the rule of another optimizer")) << "the counter has none";
}

// core/schedule_test.cpp has all that is refused.
TEST_P(OptimizerTest, RefusesSchedulesThatCannotBe) {
  const auto refusal = [&](const Schedule& schedule) {
    return usage_error([&] { backend().make_counter(step_rule(AdamOptions{}, schedule)); });
  };
  EXPECT_THAT(refusal({LinearLR{.start_factor = 1.5}}),
              StartsWith("LinearLR: start_factor 1.5 is not above 0"));
  EXPECT_THAT(refusal({CosineAnnealingLR{}}), StartsWith("CosineAnnealingLR: T_max 0 means"));
}

// Where the length of the training becomes known, and nowhere else.
TEST_P(OptimizerTest, ARecordedStepFollowsARuleThatIsSetLater) {
  const SgdOptions options{.learning_rate = 1.0f};
  const auto arena = place_parameters(backend(), {zeros({1})});
  const auto counter = backend().make_counter(step_rule(options));
  const auto sgd = backend().make_optimizer(*arena, *counter, options);
  backend().write(*arena->variables()[0].grad, Values{-1});
  const auto step = backend().record([&] {
    counter->advance();
    sgd->step();
  });
  step->run(1);
  EXPECT_THAT(backend().read(*arena->variables()[0].value), Exactly({1}));
  const StepRule rule = step_rule(options, {LinearLR{1.0, 0.0, 0}}, {.total_steps = 4});
  counter->set_rule(rule);
  EXPECT_EQ(counter->rule(), rule);
  step->run(2);  // of 4 steps the second and the third
  EXPECT_THAT(backend().read(*arena->variables()[0].value), Exactly({1 + 0.75 + 0.5}));
  EXPECT_THAT(usage_error([&] { counter->set_rule(step_rule(SgdOptions{.learning_rate = 2.0f})); }),
              HasSubstr("another optimizer"));
  EXPECT_THAT(usage_error([&] { counter->set_rule(step_rule(options, {StepLR{}})); }),
              HasSubstr("step_size"));
  EXPECT_EQ(counter->rule(), rule);
}

INSTANTIATE_TEST_SUITE_P(, OptimizerTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
