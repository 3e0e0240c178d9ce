// What a Trainer does beside its optimizer: decay by group, clipping, the moving average, Muon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "convoy/batch_trainer.h"
#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/profile.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Dataset noise() {
  Dataset data{.name = "noise", .image = {1, 8, 8}, .classes = 3};
  PhiloxSequence random({5, 0});
  for (std::int64_t i = 0; i < 26 * 64; ++i)
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  for (std::int64_t i = 0; i < 26; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 3));
  return data;
}

Model two_convolutions() {
  return {"two",
          {1, 8, 8},
          {{"conv1", Conv2d{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}}},
           {"norm", BatchNorm2d{4}},
           {"relu1", ReLU{}},
           {"conv2", Conv2d{.in_channels = 4, .out_channels = 6, .kernel_size = {3, 3}}},
           {"relu2", ReLU{}},
           {"flatten", Flatten{}},
           {"hidden", Linear{.in_features = 96, .out_features = 5}},
           {"relu3", ReLU{}},
           {"fc", Linear{.in_features = 5, .out_features = 3}}}};
}

TrainOptions plain() {
  return {.batch_size = 4,
          .epochs = 2,
          .optimizer = AdamOptions{.weight_decay = 0.01f, .decoupled_weight_decay = true},
          .schedule = {LinearLR{.start_factor = 0.25, .total_iters = 9}},
          .log_every = 3};
}

TrainOptions with_all() {
  TrainOptions options = plain();
  options.muon = MuonOptions{.learning_rate = 0.05f, .linear_layers = true};
  options.decay_weights_only = true;
  options.clip_norm = 0.5f;
  options.ema_decay = 0.75;
  return options;
}

class UpdateOptionsTest : public testing::TestWithParam<std::string> {
 protected:
  Trainer make_trainer(const TrainOptions& options, std::uint64_t seed = 1) {
    return Trainer(*backend_, two_convolutions(), initial_state(two_convolutions(), seed), options);
  }
  TrainingSnapshot trained(const TrainOptions& options) {
    Trainer trainer = make_trainer(options);
    trainer.fit(noise());
    return trainer.snapshot();
  }

  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam(), {.steps_per_launch = 4}).backend;
};

const std::vector<double>& values(const StateDict& state, const std::string& name) {
  return find(state, name)->values;
}

// By the weights of every step, in double: a step rounds a mean of about 1 twice, and 0.75 forgets.
TEST_P(UpdateOptionsTest, TheMovingAverageIsThatOfEveryStepsWeightsAndStatistics) {
  TrainOptions options = plain();
  options.log_every = 1;  // so that every step is seen
  const TrainingSnapshot without = trained(options);
  options.ema_decay = 0.75;
  Trainer trainer = make_trainer(options);
  StateDict expected;
  trainer.fit(noise(), {.progress = [&](const Progress&) {
                const TrainingSnapshot snapshot = trainer.snapshot();
                if (expected.empty()) expected = snapshot.model;
                for (std::size_t t = 0; t < expected.size(); ++t) {
                  std::vector<double>& mean = expected[t].second.values;
                  for (std::size_t i = 0; i < mean.size(); ++i) {
                    const double value = snapshot.model[t].second.values[i];
                    if (expected[t].second.dtype == DType::int64) {
                      mean[i] = value;  // a count is copied
                    } else {
                      mean[i] += 0.25 * (value - mean[i]);
                    }
                  }
                }
              }});
  const TrainingSnapshot snapshot = trainer.snapshot();
  EXPECT_EQ(snapshot.model, without.model) << "an average changes nothing that is trained";
  EXPECT_EQ(snapshot.ema_count, 14);
  EXPECT_EQ(snapshot.ema.size(), expected.size() - 1) << "all but the count of batches";
  const StateDict state = trainer.state();
  EXPECT_EQ(values(state, "norm.num_batches_tracked"), std::vector{14.0});
  for (const auto& [name, tensor] : expected) {
    if (tensor.dtype == DType::int64) continue;
    EXPECT_EQ(values(state, name), values(snapshot.ema, name)) << "the model is the averaged one";
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      EXPECT_NEAR(values(state, name)[i], tensor.values[i], 8 * 0x1p-23 * (1 + std::abs(tensor.values[i])))
          << name;
    }
  }
}

// What is evaluated is the model that state() gives, and training goes on from its own weights to the bit.
TEST_P(UpdateOptionsTest, EvaluatesTheAverageAndGoesOnUndisturbed) {
  TrainOptions options = plain();
  const StateDict start = initial_state(two_convolutions(), 1);
  options.ema_decay = 0.9;
  Trainer trainer = make_trainer(options);
  const auto evaluator = trainer.evaluator(noise());
  const auto evaluation_of = [&](const StateDict& state) {
    return Trainer(*backend_, two_convolutions(), state, plain()).evaluate(noise());
  };
  EXPECT_EQ(trainer.state(), start) << "there is no average before the first step";
  EXPECT_EQ(trainer.evaluate(noise()).loss, evaluation_of(start).loss);
  const auto expect_averaged = [&] {
    const Evaluation evaluation = evaluator->evaluate();
    EXPECT_EQ(evaluation.loss, evaluation_of(trainer.state()).loss);
    EXPECT_NE(evaluation.loss, evaluation_of(trainer.snapshot().model).loss);
    const TestTimeAugmentation views{.flip = true, .shift = true};
    Trainer of_average(*backend_, two_convolutions(), trainer.state(), plain());
    EXPECT_EQ(trainer.evaluate(noise(), views).loss, of_average.evaluate(noise(), views).loss);
    EXPECT_EQ(trainer.predict(noise(), views), of_average.predict(noise(), views));
  };
  trainer.fit(noise(), {.epoch = [&](const EpochReport&) { expect_averaged(); }});
  expect_averaged();
  EXPECT_EQ(trainer.snapshot(), trained(options));
}

TEST_P(UpdateOptionsTest, ASecondFitAveragesAnew) {
  TrainOptions options = plain();
  options.ema_decay = 0.9;
  Trainer trainer = make_trainer(options);
  trainer.fit(noise());
  trainer.fit(noise());
  EXPECT_EQ(trainer.snapshot().ema_count, 14);
  EXPECT_EQ(trainer.snapshot().counter, 28);
}

TEST_P(UpdateOptionsTest, GoesOnFromASnapshotWithTheSameBits) {
  for (const OptimizerOptions& optimizer :
       {OptimizerOptions(AdamOptions{.weight_decay = 0.01f}),
        OptimizerOptions(SgdOptions{.momentum = 0.9f, .nesterov = true}), OptimizerOptions(SgdOptions{})}) {
    TrainOptions options = with_all();
    options.optimizer = optimizer;
    const TrainingSnapshot expected = trained(options);
    EXPECT_THAT(expected.orthogonalized, ElementsAre("conv1.weight", "conv2.weight", "hidden.weight"));
    EXPECT_THAT(expected.undecayed, ElementsAre("conv1.bias", "norm.weight", "norm.bias", "conv2.bias",
                                                "hidden.bias", "fc.bias"));
    EXPECT_NE(find(expected.optimizer, "momentum_buffer.conv1.weight"), nullptr);
    std::vector<TrainingSnapshot> snapshots;
    Trainer watched = make_trainer(options);
    watched.fit(noise(), {.progress = [&](const Progress&) { snapshots.push_back(watched.snapshot()); }});
    snapshots.push_back(expected);
    for (const TrainingSnapshot& snapshot : snapshots) {
      Trainer fresh = make_trainer(options, /*seed=*/2);
      fresh.restore(snapshot);
      EXPECT_EQ(fresh.snapshot(), snapshot);
      fresh.fit(noise());
      EXPECT_EQ(fresh.snapshot(), expected);
    }
  }
}

// A state of a training without an average is gone on from, too: the average begins there.
TEST_P(UpdateOptionsTest, AnAverageBeginsWhereATrainingWithoutWas) {
  std::optional<TrainingSnapshot> third;
  Trainer without = make_trainer(plain());
  without.fit(noise(), {.step = [&](const StepReport& step) {
                if (step.epoch == 1 && step.step == 3) third = without.snapshot();
              }});
  TrainOptions options = plain();
  options.ema_decay = 0.9;
  Trainer trainer = make_trainer(options);
  trainer.restore(third.value());
  trainer.fit(noise());
  EXPECT_EQ(trainer.snapshot().ema_count, 11);
  EXPECT_EQ(trainer.snapshot().model, without.snapshot().model);
}

TEST_P(UpdateOptionsTest, ANormThatIsNeverReachedChangesNoBit) {
  TrainOptions options = plain();
  options.clip_norm = 1e6f;
  EXPECT_EQ(trained(options), trained(plain()));
  options.clip_norm = 0.01f;
  EXPECT_NE(trained(options).model, trained(plain()).model);
}

// SGD of rate 1 without anything else moves by the gradients, which the trainer shows unclipped.
TEST_P(UpdateOptionsTest, ABatchTrainerClips) {
  const Model model = two_convolutions();
  const StateDict start = initial_state(model, 1);
  BatchTrainer trainer(*backend_, model, start,
                       {.optimizer = SgdOptions{.learning_rate = 1.0f}, .clip_norm = 0.125f});
  const Dataset data = noise();
  trainer.forward(std::span(data.pixels).first(4 * 64));
  trainer.loss(std::span(data.labels).first(4));
  trainer.backward();
  const StateDict gradients = trainer.gradients();
  trainer.step();
  double norm = 0.0, moved = 0.0;
  for (const auto& [name, gradient] : gradients) {
    const StateDict state = trainer.state();
    for (std::size_t i = 0; i < gradient.values.size(); ++i) {
      norm += gradient.values[i] * gradient.values[i];
      const double step = values(state, name)[i] - values(start, name)[i];
      moved += step * step;
    }
  }
  EXPECT_GT(std::sqrt(norm), 0.125);
  EXPECT_NEAR(std::sqrt(moved), 0.125, 1e-5);  // weights of about 1 are rounded to 2^-24 as they move
}

TEST_P(UpdateOptionsTest, AProfileNamesEveryPart) {
  const auto names = [&] {
    TrainOptions options = with_all();
    options.profile_steps = 1;
    options.log_every = 0;
    std::vector<std::string> parts;
    Trainer trainer = make_trainer(options);
    trainer.fit(noise(), {.profile = [&](const StepProfile& profile) {
                  for (const PartProfile& part : profile.parts) parts.push_back(part.name);
                }});
    return parts;
  }();
  ASSERT_GE(names.size(), 4u);
  EXPECT_THAT(std::vector(names.end() - 4, names.end()), ElementsAre("clip", "optimizer", "muon", "ema"));
}

TEST_P(UpdateOptionsTest, RefusesWhatCannotBe) {
  const auto refusal = [&](const std::function<void(TrainOptions&)>& change) -> std::string {
    TrainOptions options = plain();
    change(options);
    try {
      make_trainer(options);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal([](TrainOptions& o) { o.clip_norm = -1.0f; }), HasSubstr("gradient clipping: norm -1"));
  EXPECT_THAT(refusal([](TrainOptions& o) { o.ema_decay = 1.0; }), HasSubstr("moving average: decay 1"));
  EXPECT_THAT(refusal([](TrainOptions& o) {
                o.ema_decay = 0.9;
                o.swa = true;
              }),
              HasSubstr("both average the weights"));
  EXPECT_THAT(refusal([](TrainOptions& o) { o.muon = MuonOptions{.steps = 0}; }), HasSubstr("Muon: steps 0"));
}

TEST_P(UpdateOptionsTest, MuonNeedsAMatrixThatIsNotTheLast) {
  const Model linear{
      "linear", {1, 8, 8}, {{"flatten", Flatten{}}, {"fc", Linear{.in_features = 64, .out_features = 3}}}};
  TrainOptions options = plain();
  options.muon = MuonOptions{.linear_layers = true};
  EXPECT_THROW(Trainer(*backend_, linear, initial_state(linear, 1), options), UsageError);
}

INSTANTIATE_TEST_SUITE_P(, UpdateOptionsTest, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace convoy
