// A training that is saved in the middle and restored into a fresh trainer ends with the same bits.
#include "convoy/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kEpochs = 2;
constexpr std::int64_t kSteps = 7;  // an epoch: six of four images and one of two

Dataset noise() {
  Dataset data{.name = "noise", .image = {1, 6, 6}, .classes = 3};
  PhiloxSequence random({5, 0});
  for (std::int64_t i = 0; i < 26 * 36; ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  for (std::int64_t i = 0; i < 26; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 3));
  return data;
}

Model dropped() {
  return {"dropped",
          {1, 6, 6},
          {{"conv", Conv2d{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}}},
           {"norm", BatchNorm2d{4}},
           {"relu", ReLU{}},
           {"drop", Dropout{.p = 0.25}},
           {"flatten", Flatten{}},
           {"fc", Linear{.in_features = 64, .out_features = 3}}}};
}

TrainOptions options_with(const OptimizerOptions& optimizer) {
  return {.batch_size = 4,
          .epochs = kEpochs,
          .optimizer = optimizer,
          .schedule = {LinearLR{.start_factor = 0.25, .total_iters = 9}},
          .decay_weights_only = true,
          .clip_norm = 0.5f,
          .augmentation = {.max_shift = 1,
                           .flip = Flip::alternating,
                           .padding = Padding::reflect,
                           .cutout = 2,
                           .max_rotation = 15,
                           .max_scaling = 0.1},
          .log_every = 3,
          .swa = true,
          .bn_batches = 2};
}

const std::vector<std::pair<std::string, OptimizerOptions>>& optimizers() {
  static const std::vector<std::pair<std::string, OptimizerOptions>> all = {
      {"Adam", AdamOptions{.weight_decay = 0.01f}},
      {"AdamW", AdamOptions{.weight_decay = 0.01f, .decoupled_weight_decay = true}},
      {"SGD", SgdOptions{.momentum = 0.9f, .nesterov = true}},
  };
  return all;
}

class SnapshotTest : public testing::TestWithParam<std::string> {
 protected:
  Trainer make_trainer(const TrainOptions& options, std::uint64_t seed = 1) {
    return Trainer(*backend_, dropped(), initial_state(dropped(), seed), options);
  }

  // On a GPU four steps a launch, which the reports after every third step cut into pieces.
  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam(), {.steps_per_launch = 4}).backend;
};

// Snapshots after step 3 (no multiple of a launch), after the first epoch's last step, between two epochs,
// when one of two sets of weights has been averaged, behind the last step, and when all is done.
TEST_P(SnapshotTest, GoesOnFromAnywhereWithTheSameBits) {
  for (const auto& [name, optimizer] : optimizers()) {
    SCOPED_TRACE(name);
    const TrainOptions options = options_with(optimizer);
    Trainer undisturbed = make_trainer(options);
    undisturbed.fit(noise());
    const TrainingSnapshot expected = undisturbed.snapshot();
    EXPECT_EQ(expected.counter, kEpochs * kSteps);
    EXPECT_EQ(expected.average_count, 2);
    EXPECT_THAT(expected.undecayed, ElementsAre("conv.bias", "norm.weight", "norm.bias", "fc.bias"));
    EXPECT_EQ(find(expected.model, "norm.num_batches_tracked")->values, std::vector{14.0});

    std::vector<TrainingSnapshot> snapshots;
    Trainer watched = make_trainer(options);
    watched.fit(noise(), {.progress =
                              [&](const Progress& at) {
                                const std::int64_t done = (at.epoch - 1) * kSteps + at.step;
                                if (done == 3 || done == 7 || done == 13 || done == 14) {
                                  snapshots.push_back(watched.snapshot());
                                }
                              },
                          .epoch = [&](const EpochReport&) { snapshots.push_back(watched.snapshot()); }});
    snapshots.push_back(watched.snapshot());
    EXPECT_EQ(snapshots.back(), expected) << "to look changes nothing";
    ASSERT_EQ(snapshots.size(), 7u);
    EXPECT_EQ(snapshots[0].position, (TrainingPosition{1, 3}));
    EXPECT_EQ(snapshots[0].metrics.samples, 12);
    EXPECT_EQ(snapshots[1].position, (TrainingPosition{1, 7}));
    EXPECT_EQ(snapshots[2].position, (TrainingPosition{2, 0}));
    EXPECT_EQ(snapshots[3].average_count, 1);

    for (const TrainingSnapshot& snapshot : snapshots) {
      SCOPED_TRACE(testing::Message()
                   << "epoch " << snapshot.position.epoch << ", step " << snapshot.position.step);
      Trainer fresh = make_trainer(options, /*seed=*/2);
      fresh.restore(snapshot);
      EXPECT_EQ(fresh.snapshot(), snapshot);
      fresh.fit(noise());
      EXPECT_EQ(fresh.snapshot(), expected);
    }
  }
}

// Rate and momentum follow from the counter, the options and the data set.
TEST_P(SnapshotTest, GoesOnInTheMiddleOfACycle) {
  for (const auto& [name, optimizer] : optimizers()) {
    SCOPED_TRACE(name);
    TrainOptions options = options_with(optimizer);
    options.schedule = {OneCycleLR{}};
    std::vector<TrainingSnapshot> snapshots;
    std::vector<double> rates, again;
    Trainer undisturbed = make_trainer(options);
    undisturbed.fit(noise(), {.step = [&](const StepReport& at) {
                      snapshots.push_back(undisturbed.snapshot());
                      rates.push_back(at.learning_rate);
                    }});
    const TrainingSnapshot expected = undisturbed.snapshot();
    ASSERT_EQ(snapshots.size(), 4u) << "steps 3 and 6 of two epochs";
    Trainer fresh = make_trainer(options, /*seed=*/2);
    fresh.restore(snapshots[1]);
    fresh.fit(noise(), {.step = [&](const StepReport& at) { again.push_back(at.learning_rate); }});
    EXPECT_EQ(fresh.snapshot(), expected);
    EXPECT_EQ(again, std::vector(rates.begin() + 2, rates.end()));
    EXPECT_GT(rates[1], rates[0]);
    EXPECT_LT(rates[3], rates[2]);

    options.schedule = {};
    Trainer constant = make_trainer(options);
    constant.fit(noise());
    EXPECT_NE(constant.snapshot().model, expected.model);
  }
}

// The copies are read when the training has gone on, by another thread.
TEST_P(SnapshotTest, ABegunSnapshotIsOfTheMomentItWasBegun) {
  TrainOptions options = options_with(AdamOptions{});
  options.save_every = 5;  // of 14 steps, no multiple of a launch or of an epoch
  Trainer trainer = make_trainer(options);
  std::vector<TrainingSnapshot> waited, begun;
  std::function<TrainingSnapshot()> pending;
  const auto read_pending = [&] {
    std::thread([&] { begun.push_back(pending()); }).join();
    pending = nullptr;
  };
  trainer.fit(noise(), {.save = [&](const Progress&) {
                if (pending) read_pending();
                waited.push_back(trainer.snapshot());
                pending = trainer.begin_snapshot();
                EXPECT_THROW(static_cast<void>(trainer.snapshot()), UsageError) << "one at a time";
              }});
  read_pending();
  EXPECT_EQ(begun, waited);
  ASSERT_EQ(begun.size(), 2u);
  EXPECT_EQ(begun[0].position, (TrainingPosition{1, 5}));
  EXPECT_EQ(begun[1].position, (TrainingPosition{2, 3}));
  EXPECT_EQ(begun[1].counter, 10);
}

// At an epoch's end it is the end that is saved, behind the epoch's report.
TEST_P(SnapshotTest, SavesBehindAnEpochsReport) {
  TrainOptions options = options_with(AdamOptions{});
  options.save_every = kSteps;
  Trainer trainer = make_trainer(options);
  std::string events;
  trainer.fit(noise(), {.epoch = [&](const EpochReport&) { events += 'e'; },
                        .save =
                            [&](const Progress& at) {
                              events += 's';
                              EXPECT_EQ(at.step, kSteps);
                              EXPECT_EQ(trainer.snapshot().position.step, 0);
                            }});
  EXPECT_EQ(events, "eses");
}

// What is reported of the rest of an epoch counts the whole of it.
TEST_P(SnapshotTest, ReportsTheEpochAsIfItHadNotStopped) {
  const TrainOptions options = options_with(AdamOptions{});
  const auto reports = [&](Trainer& trainer, std::optional<TrainingSnapshot>* third) {
    std::vector<double> numbers;
    trainer.fit(noise(), {.progress =
                              [&](const Progress& at) {
                                if (third && at.epoch == 1 && at.step == 3) *third = trainer.snapshot();
                              },
                          .step = [&](const StepReport& step) { numbers.push_back(step.loss); },
                          .epoch =
                              [&](const EpochReport& epoch) {
                                numbers.push_back(epoch.loss);
                                numbers.push_back(epoch.accuracy);
                              }});
    return numbers;
  };
  std::optional<TrainingSnapshot> third;
  Trainer whole = make_trainer(options);
  std::vector<double> expected = reports(whole, &third);
  ASSERT_TRUE(third);
  Trainer rest = make_trainer(options);
  rest.restore(*third);
  expected.erase(expected.begin());  // the loss of step 3
  EXPECT_EQ(reports(rest, nullptr), expected);
}

TEST_P(SnapshotTest, AStoppedTrainingCanGoOnAndCanBeginAgain) {
  const TrainOptions options = options_with(SgdOptions{.momentum = 0.9f});
  Trainer undisturbed = make_trainer(options);
  undisturbed.fit(noise());

  Trainer trainer = make_trainer(options);
  const TrainingSnapshot begin = trainer.snapshot();
  const auto stop = [](const Progress& at) {
    if (at.epoch == 2 && at.step >= 3) throw Error("stop");
  };
  EXPECT_THROW(trainer.fit(noise(), {.progress = stop}), Error);
  EXPECT_EQ(trainer.evaluate(noise()).samples, 26);
  const TrainingSnapshot stopped = trainer.snapshot();
  EXPECT_EQ(stopped.position, (TrainingPosition{2, 3}));

  trainer.restore(stopped);
  trainer.fit(noise());
  EXPECT_EQ(trainer.snapshot(), undisturbed.snapshot());
  trainer.restore(begin);
  trainer.fit(noise());
  EXPECT_EQ(trainer.snapshot(), undisturbed.snapshot());
}

TEST_P(SnapshotTest, AnEvaluationInTheMiddleChangesNothing) {
  const TrainOptions options = options_with(AdamOptions{});
  Trainer undisturbed = make_trainer(options);
  undisturbed.fit(noise());
  Trainer trainer = make_trainer(options);
  const auto evaluator = trainer.evaluator(noise());
  trainer.fit(noise(), {.progress = [&](const Progress&) {
                const MetricsReading before = trainer.snapshot().metrics;
                EXPECT_EQ(evaluator->evaluate().loss, trainer.evaluate(noise()).loss);
                EXPECT_EQ(evaluator->predict(), trainer.predict(noise()));
                EXPECT_EQ(trainer.snapshot().metrics, before);
              }});
  EXPECT_EQ(trainer.snapshot(), undisturbed.snapshot());
}

TEST_P(SnapshotTest, RefusesWhatDoesNotFitAndStaysAsItIs) {
  Trainer adam = make_trainer(options_with(AdamOptions{}));
  adam.fit(noise());
  const TrainingSnapshot good = adam.snapshot();
  const auto refusal = [&](Trainer& trainer, const TrainingSnapshot& snapshot) -> std::string {
    const TrainingSnapshot before = trainer.snapshot();
    try {
      trainer.restore(snapshot);
    } catch (const Error& error) {
      EXPECT_EQ(trainer.snapshot(), before);
      return error.what();
    }
    return "restored";
  };
  Trainer sgd = make_trainer(options_with(SgdOptions{.momentum = 0.9f}), 2);
  Trainer plain = make_trainer(options_with(SgdOptions{}), 2);
  Trainer fresh = make_trainer(options_with(AdamOptions{}), 2);
  EXPECT_THAT(refusal(sgd, good), HasSubstr("lacks the optimizer's tensor momentum_buffer.conv.weight"));
  EXPECT_THAT(refusal(plain, good), HasSubstr("of another optimizer"));
  TrainingSnapshot bad = good;
  bad.average.pop_back();
  EXPECT_THAT(refusal(fresh, bad), HasSubstr("lacks the average's tensor fc.bias"));
  bad = good;
  bad.optimizer.front().second.shape = {4};
  EXPECT_THAT(refusal(fresh, bad),
              HasSubstr("exp_avg.conv.weight of the optimizer is [4], not [4, 1, 3, 3]"));
  bad = good;
  bad.position = {1, 2};
  bad.metrics.samples = 10;
  EXPECT_THAT(refusal(fresh, bad), HasSubstr("10 samples in 2 steps, which were not batches of 4"));
  bad.position = {0, 0};
  EXPECT_THAT(refusal(fresh, bad), HasSubstr("step 0 of epoch 0"));
  bad = good;
  bad.model.pop_back();
  EXPECT_THAT(refusal(fresh, bad), HasSubstr("the snapshot"));
  bad = good;
  bad.position = {1, 9};
  bad.metrics.samples = 36;
  fresh.restore(bad);
  EXPECT_THROW(fresh.fit(noise()), UsageError) << "an epoch of 7 steps has no ninth";
}

INSTANTIATE_TEST_SUITE_P(, SnapshotTest, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace convoy
