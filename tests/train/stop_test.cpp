// Trainings that an observer ends before their last step, and what is looked at between their steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

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

constexpr std::int64_t kSteps = 7;  // an epoch: six of four images and one of two

Dataset noise(std::int64_t count = 26) {
  Dataset data{.name = "noise", .image = {1, 6, 6}, .classes = 3};
  PhiloxSequence random({5, 0});
  for (std::int64_t i = 0; i < count * 36; ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  for (std::int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 3));
  return data;
}

Model with_norm() {
  return {"norm",
          {1, 6, 6},
          {{"conv", Conv2d{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}}},
           {"norm", BatchNorm2d{4}},
           {"relu", ReLU{}},
           {"drop", Dropout{.p = 0.25}},
           {"flatten", Flatten{}},
           {"fc", Linear{.in_features = 64, .out_features = 3}}}};
}

class StopTest : public testing::TestWithParam<std::string> {
 protected:
  Trainer make_trainer(const TrainOptions& options) {
    return Trainer(*backend_, with_norm(), initial_state(with_norm(), 1), options);
  }

  // On a GPU four steps a launch.
  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam(), {.steps_per_launch = 4}).backend;
};

TEST_P(StopTest, BehindAnEpochItIsATrainingOfSoManyEpochs) {
  for (const bool swa : {false, true}) {
    // One step an epoch: of fewer than five nothing is averaged, and of eight the eighth alone.
    const Dataset data = noise(4);
    const TrainOptions options{.batch_size = 4, .epochs = 3, .swa = swa, .bn_batches = 2};
    Trainer whole = make_trainer(options);
    whole.fit(data);
    TrainOptions longer = options;
    longer.epochs = 8;
    Trainer stopped = make_trainer(longer);
    std::vector<std::int64_t> epochs;
    stopped.fit(data, {.epoch = [&](const EpochReport& epoch) {
                  epochs.push_back(epoch.epoch);
                  if (epoch.epoch == 3) stopped.stop();
                }});
    EXPECT_THAT(epochs, ElementsAre(1, 2, 3));
    EXPECT_EQ(stopped.state(), whole.state()) << (swa ? "averaged" : "the last weights");
    EXPECT_EQ(stopped.snapshot().position, (TrainingPosition{4, 0, true}));
  }
}

TEST_P(StopTest, BehindAStepTheEpochEndsThere) {
  // A launch ends behind step 5.
  const TrainOptions options{.batch_size = 4, .epochs = 2, .log_every = 5};
  Trainer trainer = make_trainer(options);
  std::vector<Progress> ends;
  StateDict state;
  const auto stop_at_fifth = [&](const Progress& at) {
    if (at.epoch != 2 || at.step < 5) return;
    trainer.stop();
    state = trainer.state();
  };
  trainer.fit(noise(), {.progress = stop_at_fifth, .epoch = [&](const EpochReport& epoch) {
                          ends.push_back(epoch);
                          EXPECT_GT(epoch.loss, 0.0);
                        }});
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[1].epoch, 2);
  EXPECT_EQ(ends[1].step, 5);
  EXPECT_EQ(trainer.state(), state) << "no step more";
  const TrainingSnapshot snapshot = trainer.snapshot();
  EXPECT_EQ(snapshot.position, (TrainingPosition{2, 5, true}));
  EXPECT_EQ(snapshot.counter, kSteps + 5);
  EXPECT_EQ(snapshot.metrics.samples, 20);

  // It can go on after all, where nothing was settled to the bits of one that was never stopped.
  Trainer undisturbed = make_trainer(options);
  undisturbed.fit(noise());
  Trainer fresh = make_trainer(options);
  fresh.restore(snapshot);
  fresh.fit(noise());
  EXPECT_EQ(fresh.snapshot(), undisturbed.snapshot());
}

// The sets of weights that were averaged until then.
TEST_P(StopTest, ItIsSettledAsAtTheEnd) {
  const TrainOptions options{.batch_size = 4, .epochs = 2, .swa = true, .bn_batches = 2};
  Trainer trainer = make_trainer(options);
  StateDict last;
  trainer.fit(noise(), {.progress = [&](const Progress& at) {
                last = trainer.state();
                if (at.epoch == 2 && at.step == 6)
                  trainer.stop();  // of steps 13 and 14 the first is averaged
              }});
  EXPECT_EQ(trainer.snapshot().average_count, 1);
  EXPECT_EQ(find(trainer.state(), "fc.weight")->values, find(last, "fc.weight")->values);
  EXPECT_NE(find(trainer.state(), "norm.running_mean")->values, find(last, "norm.running_mean")->values);
  EXPECT_EQ(find(trainer.state(), "norm.num_batches_tracked")->values, std::vector{13.0});
}

// What a test has seen is then the model, whatever batch norm's statistics would be measured anew.
TEST_P(StopTest, WhereNothingWasAveragedItIsTheLastStepsModel) {
  Trainer trainer = make_trainer({.batch_size = 4, .epochs = 2, .swa = true, .bn_batches = 2});
  StateDict last;
  trainer.fit(noise(), {.progress = [&](const Progress& at) {
                last = trainer.state();
                if (at.step == 4) trainer.stop();
              }});
  EXPECT_EQ(trainer.snapshot().average_count, 0);
  EXPECT_EQ(trainer.state(), last);
}

// A state of the step that ended it would lack what the epoch came to.
TEST_P(StopTest, BehindAPauseNothingElseComesBeforeTheEpochsEnd) {
  Trainer trainer =
      make_trainer({.batch_size = 4, .epochs = 2, .log_every = 0, .save_every = 2, .pause_every = 2});
  std::vector<std::string> calls;
  TrainObserver observer;
  observer.progress = [&](const Progress& at) {
    if (at.step % 2 == 0) calls.emplace_back("progress");
  };
  observer.pause = [&](const Progress& at) {
    calls.emplace_back("pause");
    if (at.step == 4) trainer.stop();
  };
  observer.epoch = [&](const EpochReport&) { calls.emplace_back("epoch"); };
  observer.save = [&](const Progress&) { calls.emplace_back("save"); };
  trainer.fit(noise(), observer);
  EXPECT_THAT(calls, ElementsAre("pause", "progress", "save", "pause", "epoch"));
}

TEST_P(StopTest, BeforeTheFirstStepNothingIsTrained) {
  const TrainOptions options{.batch_size = 4, .epochs = 3, .swa = true, .bn_batches = 2};
  Trainer stopped = make_trainer(options);
  std::optional<TrainingSnapshot> behind_epoch;
  stopped.fit(noise(), {.epoch = [&](const EpochReport&) {
                stopped.stop();
                behind_epoch = stopped.snapshot();
              }});
  const TrainingSnapshot ended = stopped.snapshot();
  // From the state of before the end it is settled, and from that of behind it nothing is left to do.
  for (const TrainingSnapshot& snapshot : {*behind_epoch, ended}) {
    Trainer trainer = make_trainer(options);
    trainer.restore(snapshot);
    trainer.fit(noise(), {.prepared = [&] { trainer.stop(); }});
    EXPECT_EQ(trainer.snapshot(), ended);
  }
  // The next call knows nothing of it.
  stopped.fit(noise());
  EXPECT_EQ(stopped.snapshot().position, (TrainingPosition{4, 0, true}));
}

TEST_P(StopTest, PausesBehindStepsAndNotBehindEpochs) {
  TrainOptions options{.batch_size = 4, .epochs = 3, .log_every = 0, .pause_every = 5};
  Trainer plain = make_trainer({.batch_size = 4, .epochs = 3, .log_every = 0});
  plain.fit(noise());
  Trainer trainer = make_trainer(options);
  const auto evaluator = trainer.evaluator(noise());
  std::vector<std::int64_t> pauses;
  trainer.fit(noise(), {.pause = [&](const Progress& at) {
                pauses.push_back((at.epoch - 1) * kSteps + at.step);
                EXPECT_EQ(evaluator->evaluate().samples, 26);
              }});
  EXPECT_THAT(pauses, ElementsAre(5, 10, 15, 20));
  EXPECT_EQ(trainer.state(), plain.state()) << "to look changes nothing";
  options.pause_every = 7;  // an epoch
  Trainer by_epoch = make_trainer(options);
  by_epoch.fit(noise(), {.pause = [](const Progress&) { ADD_FAILURE() << "paused behind an epoch"; }});
}

INSTANTIATE_TEST_SUITE_P(On, StopTest, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

TEST(TrainerRefuses, PausesThatCannotBe) {
  const auto backend = make_backend("reference").backend;
  try {
    Trainer trainer(*backend, with_norm(), initial_state(with_norm(), 1), {.pause_every = -1});
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "pause_every -1 is negative");
  }
}

}  // namespace
}  // namespace convoy
