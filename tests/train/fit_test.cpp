// What is seen of a training while it runs: profiles, the search for NaN, which weights are averaged.
#include "engine/train/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "convoy/builtin.h"
#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/backend/backend.h"
#include "engine/train/finish_on_exit.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

Dataset noise(std::int64_t count) {
  Dataset data{.name = "noise", .image = {1, 8, 8}, .classes = 3};
  PhiloxSequence random({5, 0});
  for (std::int64_t i = 0; i < count * 64; ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  for (std::int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 3));
  return data;
}

Model convnet() { return builtin_model("convnet", {1, 8, 8}, 3); }

class FitTest : public testing::TestWithParam<std::string> {
 protected:
  std::string failure(StateDict state, TrainOptions options) {
    Trainer trainer(*backend_, convnet(), state, options);
    try {
      trainer.fit(noise(24));
    } catch (const Error& error) {
      return error.what();
    }
    return "trained";
  }

  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam()).backend;
};

// Six steps an epoch.
TEST_P(FitTest, TellsTheRateOfTheStepAndGoesOnCounting) {
  TrainOptions options{.batch_size = 4, .epochs = 1, .optimizer = SgdOptions{.learning_rate = 1.0f / 64}};
  options.schedule = {LinearLR{1.0, 0.0, 0}};
  options.log_every = 2;
  Trainer trainer(*backend_, convnet(), initial_state(convnet(), 1), options);
  std::vector<double> rates;
  TrainObserver observer;
  observer.step = [&](const StepReport& report) { rates.push_back(64 * report.learning_rate); };
  observer.epoch = [&](const EpochReport& report) { rates.push_back(64 * report.learning_rate); };
  trainer.fit(noise(24), observer);
  EXPECT_THAT(rates, testing::Pointwise(testing::FloatEq(), {5 / 6.0f, 3 / 6.0f, 1 / 6.0f, 1 / 6.0f}));
  rates.clear();
  trainer.fit(noise(24), observer);  // the second half of 12 steps
  EXPECT_THAT(rates, testing::Pointwise(testing::FloatEq(), {5 / 12.0f, 3 / 12.0f, 1 / 12.0f, 1 / 12.0f}));
}

TEST_P(FitTest, RefusesAScheduleThatDoesNotFit) {
  TrainOptions options{.batch_size = 4, .epochs = 1};
  options.schedule = {OneCycleLR{.total_steps = 5}};
  EXPECT_THAT(failure(initial_state(convnet(), 1), options),
              HasSubstr("after step 5, and the training has 6"));
  options.schedule = {StepLR{}};
  EXPECT_THROW(Trainer(*backend_, convnet(), initial_state(convnet(), 1), options), UsageError);
}

// What a step finds whose parameter `name` has become NaN before it.
std::string found_after_poisoning(Backend& backend, const std::string& name) {
  const StepOptions options{.optimizer = AdamOptions{}, .check_finite = true};
  TrainingState state(backend, convnet(), initial_state(convnet(), 1), options);
  TrainingNetwork network(state, convnet(), 4);
  const auto resident = backend.upload(noise(8));
  const auto step = network.training_step(*resident);
  backend.prepare();
  const FinishOnExit finish(backend);
  resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7});
  step->run(1);
  EXPECT_FALSE(state.finite_check->read().has_value());
  std::vector<double> values = backend.read(*state.parameters.at(name).value);
  values.at(1) = std::numeric_limits<double>::quiet_NaN();
  backend.write(*state.parameters.at(name).value, values);
  step->run(1);
  const auto found = state.finite_check->read();
  if (!found) return "nothing";
  EXPECT_EQ(found->step, 2);
  return step->parts()[static_cast<std::size_t>(found->part)].label();
}

TEST_P(FitTest, FindsThePartThatMadeTheFirstNaN) {
  EXPECT_EQ(found_after_poisoning(*backend_, "fc.weight"), "fc.fprop");
  EXPECT_EQ(found_after_poisoning(*backend_, "layer1.0.weight"), "layer1.0.fprop");
  // cuDNN does not promise that its fused ReLU passes a NaN on, and the software GPU's makes 0 of it: the
  // parameter that holds one is then seen after its update.
  EXPECT_THAT(found_after_poisoning(*backend_, "layer2.1.bias"),
              AnyOf("layer2.1.fprop", GetParam() == "cuda" ? "optimizer" : "never"));
}

// Activations of 1e25, whose variance no float holds: the norm's output and every gradient stay finite.
TEST_P(FitTest, FindsRunningStatisticsThatOverflow) {
  const Model model{"loud",
                    {1, 8, 8},
                    {{"conv", Conv2d{.in_channels = 1, .out_channels = 2, .bias = false}},
                     {"norm", BatchNorm2d{2}},
                     {"flatten", Flatten{}},
                     {"fc", Linear{.in_features = 128, .out_features = 3}}}};
  StateDict initial = initial_state(model, 1);
  for (auto& [name, tensor] : initial) {
    if (name == "conv.weight") tensor.values.assign(tensor.values.size(), 1e25);
  }
  TrainingState state(*backend_, model, initial, {.optimizer = AdamOptions{}, .check_finite = true});
  TrainingNetwork network(state, model, 4);
  const auto resident = backend_->upload(noise(4));
  const auto step = network.training_step(*resident);
  backend_->prepare();
  const FinishOnExit finish(*backend_);
  resident->set_order(std::vector<std::uint32_t>{0, 1, 2, 3});
  step->run(1);
  const auto found = state.finite_check->read();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(step->parts()[static_cast<std::size_t>(found->part)].label(), "norm.fprop");
}

TEST_P(FitTest, RefusesAStateThatIsNotFinite) {
  const TrainOptions options{.batch_size = 4, .epochs = 1, .check_finite = true};
  StateDict state = initial_state(convnet(), 1);
  for (auto& [name, tensor] : state) {
    if (name == "fc.weight") tensor.values.at(1) = std::numeric_limits<double>::infinity();
  }
  EXPECT_THROW(Trainer(*backend_, convnet(), state, options), Error);
  EXPECT_EQ(failure(initial_state(convnet(), 1), options), "trained");
}

TEST_P(FitTest, NamesTheStepAsWell) {
  // Adam's first step adds 1e30 to every weight, with which two layers overflow in the second.
  const TrainOptions options{.batch_size = 4,
                             .epochs = 1,
                             .optimizer = AdamOptions{.learning_rate = 1e30f},
                             .log_every = 0,
                             .check_finite = true};
  EXPECT_THAT(failure(initial_state(convnet(), 1), options),
              AllOf(HasSubstr("step 2: the first NaN or infinity came out of layer"), HasSubstr(".fprop")));
}

TEST_P(FitTest, ARestoredTrainingIsRidOfItsNaN) {
  Trainer trainer(*backend_, convnet(), initial_state(convnet(), 1), {.batch_size = 4, .check_finite = true});
  const TrainingSnapshot healthy = trainer.snapshot();
  TrainingSnapshot poisoned = healthy;
  poisoned.optimizer.at(0).second.values.at(0) = std::numeric_limits<double>::quiet_NaN();
  trainer.restore(poisoned);
  EXPECT_THROW(trainer.fit(noise(8)), Error);
  trainer.restore(healthy);
  EXPECT_NO_THROW(trainer.fit(noise(8)));
}

TEST_P(FitTest, ProfilesStepsPartByPart) {
  TrainOptions options{.batch_size = 4, .epochs = 1, .profile_steps = 2};
  const auto backend = make_exact_backend(GetParam(), {.fuse = false}).backend;
  Trainer trainer(*backend, convnet(), initial_state(convnet(), 1), options);
  std::vector<StepProfile> profiles;
  int first_steps = 0;
  trainer.fit(noise(24), {.first_step = [&] { ++first_steps; },
                          .profile = [&](const StepProfile& profile) { profiles.push_back(profile); }});
  EXPECT_EQ(first_steps, 1);
  ASSERT_EQ(profiles.size(), 1u);
  const StepProfile& profile = profiles[0];
  EXPECT_EQ(profile.step_ms.size(), 2u);
  std::vector<std::string> labels;
  for (const PartProfile& part : profile.parts) labels.push_back(part.label);
  EXPECT_THAT(labels,
              ElementsAre("batch", "layer1.0.fprop", "layer1.1.fprop", "layer1.3.fprop", "layer2.0.fprop",
                          "layer2.1.fprop", "layer2.3.fprop", "fc.fprop", "loss.fprop", "loss.bprop",
                          "fc.bprop", "layer2.3.bprop", "layer2.1.bprop", "layer2.0.bprop", "layer1.3.bprop",
                          "layer1.1.bprop", "layer1.0.bprop", "optimizer"));
  for (std::size_t step = 0; step < 2; ++step) {
    double sum = 0.0;
    for (const PartProfile& part : profile.parts) {
      EXPECT_GE(part.duration_ms.values()[step], 0.0) << part.label;
      sum += part.duration_ms.values()[step];
    }
    // Neither gap nor overlap; CUDA's clock counts in float milliseconds and half microseconds.
    EXPECT_NEAR(sum, profile.step_ms.values()[step], 1e-3 * static_cast<double>(profile.parts.size()));
  }

  const auto trace = nlohmann::json::parse(profile.chrome_trace());
  std::vector<std::string> complete;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") == "X") complete.push_back(event.at("name"));
  }
  ASSERT_EQ(complete.size(), 2 * (profile.parts.size() + 1));
  EXPECT_EQ(complete[0], "step 1");
  EXPECT_EQ(complete[2], "layer1.0.fprop");
}

TEST_P(FitTest, WatchingChangesNoBit) {
  const auto train = [&](TrainOptions options) {
    Trainer trainer(*backend_, convnet(), initial_state(convnet(), 1), options);
    trainer.fit(noise(26));
    return trainer.state();
  };
  const StateDict plain = train({.batch_size = 4, .epochs = 2});
  EXPECT_EQ(train({.batch_size = 4, .epochs = 2, .profile_steps = 2}), plain);
  EXPECT_EQ(train({.batch_size = 4, .epochs = 2, .check_finite = true}), plain);
}

INSTANTIATE_TEST_SUITE_P(, FitTest, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

// A step that names what of it cannot be done.
TEST(Step, AnErrorNamesThePart) {
  const auto backend = make_backend("reference").backend;
  std::vector<StepPart> parts;
  parts.push_back({"conv", "Conv2d", Pass::backward, [] { throw Error("no plan"); }, {}});
  Step step(*backend, std::move(parts));
  try {
    step.run(1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "conv.bprop: no plan");
  }
}

TEST(AverageSchedule, TakesTenOfTheLastFifth) {
  const AverageSchedule average(3000);
  std::vector<std::int64_t> wanted;
  for (std::int64_t step = 1; step <= 3000; ++step) {
    if (average.wants(step)) wanted.push_back(step);
  }
  EXPECT_THAT(wanted, ElementsAre(2460, 2520, 2580, 2640, 2700, 2760, 2820, 2880, 2940, 3000));
  EXPECT_EQ(average.next_after(0), 2460);
  EXPECT_EQ(average.next_after(2460), 2520);
  EXPECT_GT(average.next_after(3000), 3000);
  EXPECT_GT(AverageSchedule(0).next_after(0), 1'000'000);
  EXPECT_TRUE(AverageSchedule(5).wants(5));
  EXPECT_FALSE(AverageSchedule(4).wants(4)) << "nothing to average: the last weights stay as they are";
}

}  // namespace
}  // namespace convoy
