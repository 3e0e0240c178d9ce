// The training loop: what it counts, reports, repeats and refuses.
#include "convoy/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "convoy/builtin.h"
#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Bright left, right or lower halves under noise: learnable within a few steps.
Dataset halves(std::int64_t count) {
  Dataset data{.name = "halves", .image = {1, 8, 8}, .classes = 3};
  PhiloxSequence random({3, 0});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::uint8_t>(i % 3);
    for (unsigned pixel = 0; pixel < 64; ++pixel) {
      const bool lit = label == 0 ? pixel % 8 < 4 : label == 1 ? pixel % 8 >= 4 : pixel >= 32;
      data.pixels.push_back(static_cast<std::uint8_t>((lit ? 128 : 0) + random.below(100)));
    }
    data.labels.push_back(label);
  }
  return data;
}

Model convnet(std::int64_t classes = 3) { return builtin_model("convnet", {1, 8, 8}, classes); }

class TrainerTest : public testing::TestWithParam<std::string> {
 protected:
  // One step a launch: these tests look at every step.
  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam(), {.steps_per_launch = 1}).backend;
};

TEST_P(TrainerTest, LearnsAndGeneralises) {
  const Dataset data = halves(90);
  const Model model = convnet();
  Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 10, .epochs = 5});
  const Evaluation before = trainer.evaluate(data);
  trainer.fit(data);
  const Evaluation after = trainer.evaluate(data);
  EXPECT_EQ(after.samples, 90);
  EXPECT_LT(after.loss, before.loss / 4);
  EXPECT_EQ(after.accuracy, 1.0);
}

TEST_P(TrainerTest, ARaggedEpochSeesEverySampleOnce) {
  const Dataset data = halves(23);
  const Model model = convnet();
  Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 5, .epochs = 2, .log_every = 2});
  std::vector<std::int64_t> steps;
  std::vector<std::int64_t> logged;
  std::vector<EpochReport> epochs;
  trainer.fit(data, {.progress = [&](const Progress& at) { steps.push_back(at.step); },
                     .step =
                         [&](const StepReport& report) {
                           logged.push_back(report.step);
                           EXPECT_GT(report.loss, 0.0);
                           EXPECT_EQ(report.steps, 5);
                         },
                     .epoch = [&](const EpochReport& report) { epochs.push_back(report); }});
  EXPECT_THAT(steps, ElementsAre(1, 2, 3, 4, 5, 1, 2, 3, 4, 5));
  EXPECT_THAT(logged, ElementsAre(2, 4, 2, 4));
  ASSERT_EQ(epochs.size(), 2u);
  // 23 samples: an accuracy is a number of 23rds, whichever batches they came in.
  EXPECT_NEAR(epochs[1].accuracy * 23, std::round(epochs[1].accuracy * 23), 1e-9);
  EXPECT_EQ(find(trainer.state(), "layer1.1.num_batches_tracked")->values, std::vector{10.0});
}

// In between, steps are launched ahead of the device: their number by the clock would not be its speed.
TEST_P(TrainerTest, SpeedIsThatOfWhenTheDeviceWasLastWaitedFor) {
  const Dataset data = halves(23);
  const Model model = convnet();
  Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 5, .epochs = 2, .log_every = 2});
  double measured = 0.0;
  const auto measure = [&](const Progress& report) {
    EXPECT_GT(report.images_per_second, 0.0);
    EXPECT_NE(report.images_per_second, measured);
    measured = report.images_per_second;
  };
  const auto expect_measured = [&](const Progress& at) { EXPECT_EQ(at.images_per_second, measured); };
  trainer.fit(data, {.progress = expect_measured, .step = measure, .epoch = measure});
  EXPECT_GT(measured, 0.0);
}

TEST_P(TrainerTest, TheSameSeedGivesTheSameBits) {
  const Dataset data = halves(33);
  const auto train = [&](std::uint64_t seed) {
    const Model model = convnet();
    Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 8, .epochs = 2, .seed = seed});
    trainer.fit(data);
    return trainer.state();
  };
  const StateDict first = train(4);
  EXPECT_EQ(first, train(4));
  EXPECT_NE(first, train(5)) << "the order of batches comes from the seed";
}

// Ten snapshots of 50 steps' last fifth are its ten last steps: their mean stays, with statistics to match.
TEST_P(TrainerTest, SwaAveragesTheLastWeights) {
  const Dataset data = halves(50);
  const Model model = convnet();
  const auto train = [&](bool swa, std::int64_t bn_batches, std::vector<StateDict>* states) {
    Trainer trainer(*backend_, model, initial_state(model, 1),
                    {.batch_size = 10, .epochs = 10, .swa = swa, .bn_batches = bn_batches});
    trainer.fit(data, {.progress = [&](const Progress&) { states->push_back(trainer.state()); }});
    return trainer.state();
  };
  std::vector<StateDict> states;
  std::vector<StateDict> again;
  const StateDict classic = train(false, 5, &states);
  const StateDict averaged = train(true, 5, &again);
  ASSERT_EQ(states.size(), 50u);
  EXPECT_EQ(classic, states.back());
  EXPECT_EQ(states, again) << "averaging must not change how training goes";
  for (const TensorSpec& spec : tensor_specs(model)) {
    const std::vector<double>& actual = find(averaged, spec.name)->values;
    if (!spec.trainable()) {
      EXPECT_EQ(actual == find(classic, spec.name)->values, spec.role == TensorRole::num_batches_tracked);
      continue;
    }
    for (std::size_t i = 0; i < actual.size(); ++i) {
      double mean = 0.0;
      for (std::size_t s = 40; s < 50; ++s) mean += find(states[s], spec.name)->values[i] / 10;
      // Each of ten additions to a running mean rounds it by half an epsilon, of which the n-th leaves n / 10
      // in the result: 2.75 in all.
      EXPECT_NEAR(actual[i], mean, 2.75 * backend_->epsilon() * std::max(1.0, std::abs(mean))) << spec.name;
    }
  }
  EXPECT_EQ(averaged, train(true, 1000, &again)) << "no more batches than the data set has";
}

// Of images that are all the same, the norm's mean over a batch comes from dropout's mask alone.
TEST_P(TrainerTest, BatchNormIsMeasuredWithDropoutDrawnAnewForEachBatch) {
  Dataset data = halves(30);
  data.pixels.assign(data.pixels.size(), 200);
  const Model model{"dropped",
                    {1, 8, 8},
                    {{"drop", Dropout{}},
                     {"norm", BatchNorm2d{1}},
                     {"flatten", Flatten{}},
                     {"fc", Linear{.in_features = 64, .out_features = 3}}}};
  const auto running_mean = [&](std::int64_t bn_batches) {
    Trainer trainer(*backend_, model, initial_state(model, 1),
                    {.batch_size = 10, .epochs = 2, .swa = true, .bn_batches = bn_batches});
    trainer.fit(data);
    return find(trainer.state(), "norm.running_mean")->values.at(0);
  };
  std::vector<double> batch_means;
  for (std::int64_t batch = 1; batch <= 3; ++batch) {
    batch_means.push_back((running_mean(batch) - 0.9 * running_mean(batch - 1)) / 0.1);
    EXPECT_NEAR(batch_means.back(), 200.0 / 255.0, 0.2);
  }
  EXPECT_GT(std::abs(batch_means[1] - batch_means[0]), 1e-3);
  EXPECT_GT(std::abs(batch_means[2] - batch_means[1]), 1e-3);
}

TEST_P(TrainerTest, PredictsInTheOrderOfTheDataSet) {
  const Dataset data = halves(33);
  const Model model = convnet();
  Trainer in_batches(*backend_, model, initial_state(model, 1), {.batch_size = 8});
  Trainer at_once(*backend_, model, initial_state(model, 1), {.batch_size = 33});
  const auto logits = in_batches.predict(data);
  const auto expected = at_once.predict(data);
  ASSERT_EQ(logits.size(), 33u * 3u);
  // Both sum the same at most 400 products (16 channels x 25 taps) a value, perhaps in another order.
  const double tolerance = 4 * backend_->epsilon() * 20;
  for (std::size_t i = 0; i < logits.size(); ++i) EXPECT_NEAR(logits[i], expected[i], tolerance) << i;
}

TEST_P(TrainerTest, EvaluatesInDetailInOnePass) {
  const Dataset data = halves(33);
  const Model model = convnet();
  Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 8, .epochs = 2});
  for (const TestTimeAugmentation& views : {TestTimeAugmentation{}, TestTimeAugmentation{.flip = true}}) {
    const DetailedEvaluation detailed = trainer.evaluate_in_detail(data, views);
    const Evaluation expected = trainer.evaluate(data, views);
    EXPECT_EQ(detailed.total.loss, expected.loss);
    EXPECT_EQ(detailed.total.accuracy, expected.accuracy);
    EXPECT_EQ(detailed.total.samples, 33);
    EXPECT_EQ(detailed.logits, trainer.predict(data, views));
  }
  // The training goes on as if nothing had been asked.
  Trainer undisturbed(*backend_, model, initial_state(model, 1), {.batch_size = 8, .epochs = 2});
  undisturbed.fit(data);
  trainer.fit(data, {.epoch = [&](const EpochReport&) { trainer.evaluate_in_detail(data); }});
  EXPECT_EQ(trainer.state(), undisturbed.state());
}

TEST_P(TrainerTest, GradientsAreThoseOfTheLastStep) {
  const Dataset data = halves(10);
  const Model model = convnet();
  const StateDict state = initial_state(model, 1);
  constexpr float kRate = 0.5f;
  Trainer trainer(*backend_, model, state,
                  {.batch_size = 10, .epochs = 1, .optimizer = SgdOptions{.learning_rate = kRate}});
  trainer.fit(data);
  const StateDict gradients = trainer.gradients(), after = trainer.state();
  ASSERT_EQ(gradients.size(), 10u);
  for (const auto& [name, gradient] : gradients) {
    const std::vector<double>& before = find(state, name)->values;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const double moved = before[i] - kRate * gradient.values[i];
      // A weight near 1 is rounded once.
      EXPECT_NEAR(find(after, name)->values[i], moved, 2 * backend_->epsilon() * (1 + std::abs(moved)))
          << name;
    }
  }
}

TEST_P(TrainerTest, AStepTellsTheAccuracyOfTheEpochSoFar) {
  const Dataset data = halves(30);
  const Model model = convnet();
  Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 10, .epochs = 1, .log_every = 1});
  std::vector<double> steps;
  double epoch = 0.0;
  trainer.fit(data, {.step = [&](const StepReport& report) { steps.push_back(report.accuracy); },
                     .epoch = [&](const EpochReport& report) { epoch = report.accuracy; }});
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[2], epoch);
  EXPECT_NEAR(steps[0] * 10, std::round(steps[0] * 10), 1e-9);
}

TEST_P(TrainerTest, AnObserverCanStopIt) {
  const Dataset data = halves(30);
  const Model model = convnet();
  Trainer trainer(*backend_, model, initial_state(model, 1), {.batch_size = 5});
  const auto stop_at_third = [](const Progress& at) {
    if (at.step == 3) throw Error("stop");
  };
  EXPECT_THROW(trainer.fit(data, {.progress = stop_at_third}), Error);
  EXPECT_EQ(find(trainer.state(), "layer1.1.num_batches_tracked")->values, std::vector{3.0});
  EXPECT_EQ(trainer.evaluate(data).samples, 30);
}

INSTANTIATE_TEST_SUITE_P(On, TrainerTest, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

std::string refusal(const TrainOptions& options, const Dataset& data, const Model& model) {
  const auto backend = make_backend("reference").backend;
  try {
    Trainer trainer(*backend, model, initial_state(model, 1), options);
    trainer.fit(data);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TrainerRefuses, OptionsAndDataThatCannotBe) {
  const Dataset data = halves(12);
  EXPECT_THAT(refusal({.batch_size = 0}, data, convnet()), HasSubstr("batch size 0"));
  EXPECT_THAT(refusal({.batch_size = 13}, data, convnet()), HasSubstr("larger than the 12 images of halves"));
  EXPECT_THAT(refusal({.batch_size = 4, .epochs = 0}, data, convnet()), HasSubstr("0 epochs"));
  EXPECT_THAT(refusal({.batch_size = 4, .optimizer = AdamOptions{.learning_rate = -1}}, data, convnet()),
              HasSubstr("learning rate -1"));
  EXPECT_THAT(refusal({.batch_size = 4, .bn_batches = -1}, data, convnet()), HasSubstr("bn_batches -1"));
  EXPECT_THAT(refusal({.batch_size = 4, .log_every = -1}, data, convnet()), HasSubstr("log_every -1"));
  EXPECT_THAT(refusal({.batch_size = 4, .profile_steps = -1}, data, convnet()),
              HasSubstr("profile_steps -1"));
  EXPECT_THAT(refusal({.batch_size = 4, .profile_steps = 1}, data, convnet()),
              HasSubstr("needs an epoch of 4: this one has 3 of 4 images"));
  EXPECT_THAT(refusal({.batch_size = 4}, data, convnet(2)), HasSubstr("3 classes"));
  EXPECT_THAT(refusal({.batch_size = 4}, data, builtin_model("convnet", {1, 28, 28}, 10)),
              HasSubstr("[1, 28, 28]"));
  EXPECT_THAT(refusal({.batch_size = 4}, Dataset{.name = "nothing", .image = {1, 8, 8}}, convnet()),
              HasSubstr("nothing has no images"));
}

}  // namespace
}  // namespace convoy
