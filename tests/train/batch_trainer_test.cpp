// A loop by hand does what Trainer's loop does.
#include "convoy/batch_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "convoy/builtin.h"
#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "engine/data/order.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::int64_t kBatch = 6;
constexpr std::uint64_t kSeed = 3;

Dataset noise(std::int64_t count) {
  Dataset data{.name = "noise", .image = {2, 8, 8}, .classes = 4};
  PhiloxSequence random({11, 0});
  for (std::int64_t i = 0; i < count * data.image.count(); ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  for (std::int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<std::uint8_t>(random.below(4)));
  data.normalization = {{0.5f, 0.25f}, {0.5f, 2.0f}};
  return data;
}

// With batch norm and dropout.
Model small_model(const Dataset& data) { return builtin_model("vgg-small", data.image, data.classes); }

struct Batch {
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
};

// The batch that Trainer's `step`-th step of the first epoch sees, from 0.
Batch batch_of(const Dataset& data, std::int64_t step) {
  const auto order = shuffled_order(data.count(), kSeed, 1);
  const std::int64_t size = data.image.count();
  Batch batch;
  for (std::int64_t i = step * kBatch; i < std::min(data.count(), (step + 1) * kBatch); ++i) {
    const std::int64_t sample = order[static_cast<std::size_t>(i)];
    const auto begin = data.pixels.begin() + sample * size;
    batch.pixels.insert(batch.pixels.end(), begin, begin + size);
    batch.labels.push_back(data.labels[static_cast<std::size_t>(sample)]);
  }
  return batch;
}

class BatchTrainerTest : public testing::TestWithParam<std::string> {
 protected:
  Backend& backend() { return *choice_.backend; }

 private:
  BackendChoice choice_ = make_exact_backend(GetParam());
};

TEST_P(BatchTrainerTest, DoesWhatTheTrainerDoes) {
  const Dataset data = noise(2 * kBatch + 2);  // and a smaller batch at the end
  const Model model = small_model(data);
  const StateDict initial = initial_state(model, kSeed);
  const OptimizerOptions adam = AdamOptions{.learning_rate = 0.01f};
  const Schedule warm_up{LinearLR{.start_factor = 0.25, .total_iters = 2}};

  Trainer trainer(backend(), model, initial,
                  {.batch_size = kBatch,
                   .epochs = 1,
                   .optimizer = adam,
                   .schedule = warm_up,
                   .label_smoothing = 0.1,
                   .seed = kSeed,
                   .log_every = 1});
  std::vector<double> expected;
  trainer.fit(data, {.step = [&](const StepReport& report) { expected.push_back(report.loss); }});

  BatchTrainer by_hand(backend(), model, initial,
                       {.optimizer = adam, .schedule = warm_up, .seed = kSeed, .label_smoothing = 0.1});
  for (std::size_t step = 0; step < expected.size(); ++step) {
    const Batch batch = batch_of(data, static_cast<std::int64_t>(step));
    by_hand.forward(batch.pixels, data.normalization);
    const double loss = by_hand.loss(batch.labels);
    by_hand.backward();
    by_hand.step();
    // The same arithmetic on the host; a GPU normalises bytes by one multiplication and one addition.
    EXPECT_NEAR(loss, expected[step], backend().name() == "cuda" ? 1e-5 : 0.0) << "step " << step;
  }
  EXPECT_EQ(expected.size(), 3u);
  if (backend().name() != "cuda") {
    EXPECT_EQ(by_hand.state(), trainer.state());
  }
}

TEST_P(BatchTrainerTest, SmoothsLabelsInTrainingAlone) {
  const Dataset data = noise(kBatch);
  const Model model = small_model(data);
  const StateDict initial = initial_state(model, kSeed);
  BatchTrainer smoothed(backend(), model, initial, {.label_smoothing = 0.25});
  smoothed.forward(data.pixels, data.normalization);
  const std::vector<double> logits = smoothed.logits();
  double expected = 0.0;  // the mean over rows and classes of target times -log softmax
  for (std::size_t row = 0; row < kBatch; ++row) {
    const auto* z = &logits[row * 4];
    const double sum = std::exp(z[0]) + std::exp(z[1]) + std::exp(z[2]) + std::exp(z[3]);
    for (std::size_t c = 0; c < 4; ++c) {
      const double target = 0.25 / 4 + (c == data.labels[row] ? 0.75 : 0.0);
      expected += target * (std::log(sum) - z[c]) / kBatch;
    }
  }
  // Six losses of about 1, each some roundings off.
  EXPECT_NEAR(smoothed.loss(data.labels), expected, 16 * 0x1p-23);

  // Without training, evaluation shows no difference.
  Trainer trainer(backend(), model, initial, {.batch_size = kBatch, .label_smoothing = 0.25});
  EXPECT_EQ(trainer.evaluate(data).loss,
            Trainer(backend(), model, initial, {.batch_size = kBatch}).evaluate(data).loss);
  EXPECT_THAT([&] { BatchTrainer(backend(), model, initial, {.label_smoothing = 1.0}).forward(data.pixels); },
              ThrowsMessage<UsageError>(HasSubstr("label smoothing 1 is not in the range [0, 1)")));
}

// Nobody but the caller knows how many steps a loop of one's own has.
TEST_P(BatchTrainerTest, ASchedulesLengthsAreTheCallers) {
  const Dataset data = noise(kBatch);
  const Model model = small_model(data);
  const auto make = [&](const BatchTrainerOptions& options) {
    return std::make_unique<BatchTrainer>(backend(), model, initial_state(model, kSeed), options);
  };
  const auto usage = [](const std::string& text) { return ThrowsMessage<UsageError>(HasSubstr(text)); };
  EXPECT_THAT([&] { make({.schedule = {CosineAnnealingLR{}}}); }, usage("total_steps"));
  EXPECT_THAT(
      [&] {
        make({.schedule = {StepLR{.step_size = 1}, Schedule::Interval::epoch}});
      },
      usage("steps_per_epoch"));
  EXPECT_THAT([&] { make({.schedule = {StepLR{}}}); }, usage("step_size 0"));
  make({.schedule = {StepLR{.step_size = 1}, Schedule::Interval::epoch}, .steps_per_epoch = 5});

  const auto net = make({.schedule = {OneCycleLR{}}, .total_steps = 2});
  for (int step = 0; step < 2; ++step) {
    net->forward(data.pixels);
    net->forward(data.pixels);  // no step more
    net->loss(data.labels);
    net->backward();
    net->step();
  }
  EXPECT_THAT([&] { net->forward(data.pixels); }, usage("all of its 2 steps have been made"));
  net->evaluate(data.pixels);
}

TEST_P(BatchTrainerTest, TakesFloatsAsTheyAre) {
  const Dataset data = noise(kBatch);
  const Model model = small_model(data);
  BatchTrainer net(backend(), model, initial_state(model, kSeed));
  std::vector<float> values;
  for (const std::uint8_t byte : data.pixels) values.push_back(static_cast<float>(byte / 255.0));
  EXPECT_EQ(net.evaluate(values), net.evaluate(data.pixels));
}

TEST_P(BatchTrainerTest, EvaluatesWithoutABatchsStatistics) {
  const Dataset data = noise(kBatch);
  const Model model = small_model(data);
  BatchTrainer net(backend(), model, initial_state(model, kSeed));
  const StateDict before = net.state();
  const auto all = net.evaluate(data.pixels);
  const auto one = net.evaluate(std::span(data.pixels).first(static_cast<std::size_t>(data.image.count())));
  ASSERT_EQ(one.size(), 4u);
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(one[k], all[k], 1e-4 * (1 + std::abs(all[k])));
  EXPECT_EQ(net.state(), before);
}

TEST_P(BatchTrainerTest, AnotherForwardOfTheSameStepDrawsTheSame) {
  const Dataset data = noise(kBatch);
  const Model model = small_model(data);
  BatchTrainer net(backend(), model, initial_state(model, kSeed));
  net.forward(data.pixels);
  const auto first = net.logits();
  net.forward(data.pixels);
  EXPECT_EQ(net.logits(), first);
  net.loss(data.labels);
  net.backward();
  const StateDict gradients = net.gradients();
  EXPECT_FALSE(gradients.empty());
  net.step();
  net.forward(data.pixels);
  EXPECT_NE(net.logits(), first);
}

TEST_P(BatchTrainerTest, SaysWhatIsOutOfOrderOrDoesNotFit) {
  const Dataset data = noise(kBatch);
  const Model model = small_model(data);
  BatchTrainer net(backend(), model, initial_state(model, kSeed));
  const auto usage = [](const std::string& text) { return ThrowsMessage<UsageError>(HasSubstr(text)); };
  EXPECT_THAT([&] { net.logits(); }, usage("before the first forward"));
  EXPECT_THAT([&] { net.loss(data.labels); }, usage("needs a forward"));
  EXPECT_THAT([&] { net.backward(); }, usage("needs a loss"));
  EXPECT_THAT([&] { net.step(); }, usage("needs a backward"));
  EXPECT_THAT([&] { net.forward(std::span(data.pixels).first(100)); }, usage("100 values"));
  EXPECT_THAT([&] { net.forward(std::span<const float>()); }, usage("0 values"));
  EXPECT_THAT([&] { net.forward(data.pixels, {{0.5f}, {0.0f}}); }, usage("deviation"));
  net.forward(data.pixels);
  EXPECT_THAT([&] { net.loss(std::span(data.labels).first(2)); }, usage("2 labels for a batch of 6"));
  EXPECT_THAT([&] { net.loss(std::vector<std::uint8_t>(6, 4)); }, usage("label 4 is not one of 4"));
  net.evaluate(data.pixels);
  EXPECT_THAT([&] { net.loss(data.labels); }, usage("needs a forward"));
}

INSTANTIATE_TEST_SUITE_P(On, BatchTrainerTest, testing::ValuesIn(usable_backends()),
                         [](const auto& backend) { return backend.param; });

}  // namespace
}  // namespace convoy
