// A training in a group of processes is the training of one process with the whole batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <optional>

#include "convoy/device.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/parallel/group_models.h"
#include "tests/parallel/thread_group.h"

namespace convoy {
namespace {

using test::run_as_group;
using testing::HasSubstr;

constexpr std::int64_t kSamples = 50;  // a rest of 2: of 4 processes two have none of it

Dataset noise_with_labels(std::int64_t count = kSamples) {
  Dataset data{.name = "noise", .image = {1, 8, 8}, .classes = 3};
  PhiloxSequence random({3, 0});
  for (std::int64_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<std::uint8_t>(random.below(3)));
    for (int pixel = 0; pixel < 64; ++pixel)
      data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  return data;
}

struct Trained {
  std::vector<double> losses;  // of every step, then of every epoch
  StateDict state;
  Evaluation evaluation;
};

class GroupTest : public testing::TestWithParam<std::string> {
 protected:
  static TrainOptions options(int size) {
    return {.batch_size = kWholeBatch / size,
            .epochs = 2,
            .optimizer = SgdOptions{.learning_rate = 0.05f, .momentum = 0.9f},
            .augmentation = {.max_shift = 2,
                             .flip = Flip::alternating,
                             .padding = Padding::reflect,
                             .cutout = 3,
                             .max_rotation = 20,
                             .max_scaling = 0.1},
            .label_smoothing = 0.1,
            .log_every = 1,
            .swa = true,
            .bn_batches = 2};
  }

  static Trained train_as(Backend& backend, const Model& model, const Dataset& data, int size) {
    Trainer trainer(backend, model, initial_state(model, 1), options(size));
    Trained trained;
    trainer.fit(data, {.step = [&](const StepReport& step) { trained.losses.push_back(step.loss); },
                       .epoch = [&](const EpochReport& epoch) { trained.losses.push_back(epoch.loss); }});
    trained.evaluation = trainer.evaluate(data);
    trained.state = trainer.state();
    return trained;
  }

  /// What each rank has in the end.
  std::vector<Trained> train(int size, const Model& model, const DeviceOptions& device = {}) const {
    const Dataset data = noise_with_labels();
    std::vector<Trained> all(static_cast<std::size_t>(size));
    run_as_group(size, [&](const std::shared_ptr<Communicator>& group) {
      DeviceOptions in_group = device;
      in_group.group = group;
      const auto backend = make_backend(GetParam(), in_group).backend;
      all[static_cast<std::size_t>(group->rank())] = train_as(*backend, model, data, size);
    });
    return all;
  }
};

void expect_same_training(const Trained& actual, const Trained& expected, double tolerance) {
  ASSERT_EQ(actual.losses.size(), expected.losses.size());
  for (std::size_t i = 0; i < expected.losses.size(); ++i) {
    EXPECT_NEAR(actual.losses[i], expected.losses[i], tolerance) << i;
  }
  for (const auto& [name, tensor] : expected.state) {
    const std::vector<double>& values = find(actual.state, name)->values;
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(values[i], tensor.values[i], tolerance) << name;
  }
  EXPECT_NEAR(actual.evaluation.loss, expected.evaluation.loss, tolerance);
  EXPECT_EQ(actual.evaluation.samples, kSamples);
}

TEST_P(GroupTest, LossesAndWeightsAreThoseOfOneProcessWithTheWholeBatch) {
  const Trained alone = train(1, without_norm()).front();
  ASSERT_EQ(alone.losses.size(), 2 * (5 + 1u));
  for (const int size : {2, 3, 4}) {
    SCOPED_TRACE(size);
    for (const Trained& rank : train(size, without_norm())) expect_same_training(rank, alone, kRounding);
  }
}

TEST_P(GroupTest, AllRanksHaveTheSameBitsInEveryRun) {
  for (const Model& model : {without_norm(), with_norm()}) {
    const std::vector<Trained> first = train(4, model), second = train(4, model);
    for (std::size_t rank = 0; rank < first.size(); ++rank) {
      EXPECT_EQ(first[rank].losses, first[0].losses);
      EXPECT_EQ(first[rank].state, first[0].state) << "statistics are rank 0's behind an evaluation";
      EXPECT_EQ(first[rank].state, second[rank].state);
      EXPECT_EQ(first[rank].evaluation.loss, first[0].evaluation.loss);
    }
  }
}

// With a rest that gives every process some: of 50 samples in batches of 12 each of two has one, which has
// more than one value a channel. The statistics of a channel are sums of up to 432 values.
TEST_P(GroupTest, SynchronisedBatchNormIsThatOfTheWholeBatch) {
  for (const bool fuse : {false, true}) {
    const Trained alone = train(1, with_norm(), {.fuse = fuse}).front();
    for (const Trained& rank : train(2, with_norm(), {.fuse = fuse, .sync_batch_norm = true})) {
      expect_same_training(rank, alone, 4 * kRounding);
    }
  }
  EXPECT_THROW(train(4, with_norm(), {.sync_batch_norm = true}), UsageError) << "two would have no samples";
}

// As in PyTorch, a batch norm without more normalises by its own process's batch.
TEST_P(GroupTest, StatisticsAreLocal) {
  const Trained alone = train(1, with_norm()).front(), shared = train(2, with_norm()).front();
  EXPECT_GT(std::abs(shared.losses[0] - alone.losses[0]), 1e-3);
}

TEST_P(GroupTest, EveryRankPredictsAll) {
  const Dataset data = noise_with_labels();
  const Model model = with_norm();
  std::map<int, std::vector<double>> logits;
  std::map<int, double> losses;  // of the mean of several views
  std::mutex mutex;
  for (const int size : {1, 3}) {
    run_as_group(size, [&](const std::shared_ptr<Communicator>& group) {
      const auto backend = make_backend(GetParam(), {.group = group}).backend;
      Trainer trainer(*backend, model, initial_state(model, 1), options(size));
      const auto ours = trainer.predict(data);
      for (const TestTimeAugmentation& views : {TestTimeAugmentation{}, TestTimeAugmentation{.flip = true}}) {
        const DetailedEvaluation detailed = trainer.evaluate_in_detail(data, views);
        EXPECT_EQ(detailed.total.loss, trainer.evaluate(data, views).loss);
        const auto all = trainer.predict(data, views);
        EXPECT_EQ(detailed.logits.size(), group->rank() == 0 ? all.size() : 0);
        for (std::size_t i = 0; i < detailed.logits.size(); ++i)
          EXPECT_NEAR(detailed.logits[i], all[i], 4 * 12 * 0x1p-24);  // batches of other sizes
      }
      const Evaluation averaged = trainer.evaluate(data, {.flip = true, .shift = true});
      const std::lock_guard lock(mutex);
      EXPECT_EQ(averaged.samples, kSamples);
      const auto [first, added] = losses.insert({size, averaged.loss});
      EXPECT_EQ(averaged.loss, first->second) << "the same in all ranks";
      logits[size * 10 + group->rank()] = ours;
    });
  }
  ASSERT_EQ(logits.size(), 4u);
  EXPECT_NEAR(losses[3], losses[1], 4 * 12 * 0x1p-24);  // as of the logits below
  for (const auto& [key, values] : logits) {
    ASSERT_EQ(values.size(), logits[10].size()) << key;
    // A logit is a sum of 144 products of about 1, each half a rounding off.
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(values[i], logits[10][i], 4 * 12 * 0x1p-24) << key;
  }
}

// One process takes the snapshot, all of them go on from it.
TEST_P(GroupTest, ASnapshotWithinAnEpochIsOfAllProcesses) {
  const Dataset data = noise_with_labels();
  const Model model = with_norm();
  std::optional<TrainingSnapshot> kept;
  std::vector<StateDict> through(2), resumed(2);
  run_as_group(2, [&](const std::shared_ptr<Communicator>& group) {
    const auto backend = make_backend(GetParam(), {.group = group}).backend;
    Trainer trainer(*backend, model, initial_state(model, 1), options(2));
    trainer.fit(data, {.step = [&](const StepReport& step) {
                  if (step.epoch == 2 && step.step == 2 && group->leads()) kept = trainer.snapshot();
                }});
    through[static_cast<std::size_t>(group->rank())] = trainer.state();
  });
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->metrics.samples, 2 * kWholeBatch);
  std::vector<double> epoch_loss(2);
  run_as_group(2, [&](const std::shared_ptr<Communicator>& group) {
    const auto backend = make_backend(GetParam(), {.group = group}).backend;
    Trainer trainer(*backend, model, initial_state(model, 7), options(2));
    trainer.restore(*kept);
    trainer.fit(data, {.epoch = [&](const EpochReport& epoch) {
                  epoch_loss[static_cast<std::size_t>(group->rank())] = epoch.loss;
                }});
    resumed[static_cast<std::size_t>(group->rank())] = trainer.state();
  });
  EXPECT_EQ(resumed[0], through[0]);
  EXPECT_GT(epoch_loss[0], 0.0);
  EXPECT_EQ(epoch_loss[0], epoch_loss[1]);
}

TEST_P(GroupTest, ASnapshotBetweenLinesNeedsTheMetricsOfAll) {
  const Dataset data = noise_with_labels();
  const Model model = without_norm();
  const auto refusal = [&](bool with_metrics) -> std::string {
    try {
      run_as_group(2, [&](const std::shared_ptr<Communicator>& group) {
        const auto backend = make_backend(GetParam(), {.group = group}).backend;
        TrainOptions no_lines = options(2);
        no_lines.log_every = 0;
        Trainer trainer(*backend, model, initial_state(model, 1), no_lines);
        trainer.fit(data, {.progress = [&](const Progress& at) {
                      if (at.step != 2) return;
                      if (with_metrics) trainer.metrics();
                      if (group->leads()) trainer.snapshot();
                    }});
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(true), "");
  EXPECT_THAT(refusal(false), HasSubstr("needs Trainer::metrics of all processes"));
}

TEST_P(GroupTest, ProcessesWithOtherDataOrOptionsAreRefused) {
  const auto refusal = [&](std::int64_t images, std::int64_t epochs) -> std::string {
    try {
      run_as_group(2, [&](const std::shared_ptr<Communicator>& group) {
        const auto backend = make_backend(GetParam(), {.group = group}).backend;
        TrainOptions ours = options(2);
        if (!group->leads()) ours.epochs = epochs;
        Trainer trainer(*backend, without_norm(), initial_state(without_norm(), 1), ours);
        trainer.fit(noise_with_labels(group->leads() ? kSamples : images));
      });
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal(49, 2), HasSubstr("this process has 49 images, rank 0 has 50"));
  EXPECT_THAT(refusal(50, 3), HasSubstr("this process has 3 epochs, rank 0 has 2"));
  EXPECT_EQ(refusal(50, 2), "accepted");
}

TEST_P(GroupTest, BatchesOfAllMustFitIntoTheData) {
  const auto refusal = [&](int size) -> std::string {
    try {
      run_as_group(size, [&](const std::shared_ptr<Communicator>& group) {
        const auto backend = make_backend(GetParam(), {.group = group}).backend;
        Trainer trainer(*backend, without_norm(), initial_state(without_norm(), 1), {.batch_size = 20});
        trainer.fit(noise_with_labels());
      });
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal(3), HasSubstr("batch size 20 of 3 processes is larger than the 50 images of noise"));
}

INSTANTIATE_TEST_SUITE_P(On, GroupTest, testing::ValuesIn(host_backends()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace convoy
