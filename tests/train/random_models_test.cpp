// What a model file can say trains on every backend: a step of random models, held to the double reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "convoy/device.h"
#include "convoy/model_file.h"
#include "engine/backend/backend.h"
#include "engine/backend/reference/reference.h"
#include "engine/core/philox.h"
#include "engine/train/gradient_tolerance.h"
#include "engine/train/step.h"
#include "tests/train/model_drawer.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

constexpr std::uint64_t kSeed = 11;
constexpr std::int64_t kBatch = 5;
constexpr std::uint32_t kModels = 60;

// With an epsilon as large as this an update is lr g / (|g| + 1): it moves by no more than lr times what its
// gradient moves by. With the default one it would be the sign of a gradient that may be mere rounding.
constexpr AdamOptions kAdam{.learning_rate = 0.25f, .epsilon = 1.0f};

Dataset noise_for(const Model& model) {
  Dataset data{
      .name = "noise", .image = model.input, .classes = std::min<std::int64_t>(class_count(model), 256)};
  PhiloxSequence random({kSeed, 1});
  for (std::int64_t i = 0; i < kBatch * model.input.count(); ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  for (std::int64_t i = 0; i < kBatch; ++i) {
    data.labels.push_back(static_cast<std::uint8_t>(random.below(static_cast<std::uint32_t>(data.classes))));
  }
  data.normalization = {{0.5f}, {0.25f}};
  return data;
}

struct Trained {
  std::vector<double> logits;
  StateDict gradients;
  StateDict weights;
};

Trained train_one_step(Backend& backend, const Model& model) {
  const Dataset data = noise_for(model);
  TrainingState state(backend, model, initial_state(model, kSeed),
                      {.optimizer = kAdam, .augmentation = {}, .seed = kSeed});
  TrainingNetwork network(state, model, kBatch);
  const auto resident = backend.upload(data);
  std::vector<std::uint32_t> order(static_cast<std::size_t>(kBatch));
  std::iota(order.begin(), order.end(), 0u);
  resident->set_order(order);
  const auto step = network.training_step(*resident);
  backend.prepare();
  step->run(1);
  backend.synchronize();
  Trained trained{backend.read(*network.network().output().value), state.parameters.gradients(), {}};
  for (const auto& [name, gradient] : trained.gradients) {
    trained.weights.emplace_back(name,
                                 HostTensor{gradient.shape, backend.read(*state.parameters.at(name).value)});
  }
  return trained;
}

void expect_near(const std::string& what, const std::vector<double>& actual,
                 const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  std::size_t worst = 0;
  const auto error = [&](std::size_t i) {
    const double distance = std::abs(actual[i] - expected[i]);
    return std::isnan(distance) ? HUGE_VAL : distance;
  };
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (error(i) > error(worst)) worst = i;
  }
  if (actual.empty() || error(worst) <= tolerance) return;
  ADD_FAILURE() << what << "[" << worst << "] is " << actual[worst] << ", expected " << expected[worst]
                << ": off by " << error(worst) << " of " << tolerance;
}

class RandomModels : public testing::TestWithParam<std::string> {
 protected:
  void expect_trains(const Model& model) {
    SCOPED_TRACE(summary(model, kBatch));
    const auto truth = make_double_reference_backend();
    const Trained expected = train_one_step(*truth, model);
    const Trained actual = train_one_step(*backend_, model);
    const double epsilon = backend_->epsilon();
    const double tolerance = gradient_tolerance(model, kBatch, epsilon);
    expect_near("logits", actual.logits, expected.logits, tolerance * largest(expected.logits));
    ASSERT_EQ(actual.gradients.size(), expected.gradients.size());
    for (std::size_t i = 0; i < expected.gradients.size(); ++i) {
      const auto& [name, gradient] = expected.gradients[i];
      const double allowed = tolerance * gradient_scale(expected.gradients, name);
      expect_near(name + ".grad", actual.gradients[i].second.values, gradient.values, allowed);
      // The update moves as its gradient does, and Adam's arithmetic and the parameter itself are rounded.
      const std::vector<double>& weights = expected.weights[i].second.values;
      const double rounded = 8 * epsilon * std::max(largest(weights), double{kAdam.learning_rate});
      expect_near(name, actual.weights[i].second.values, weights, kAdam.learning_rate * allowed + rounded);
    }
  }

  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam()).backend;
};

TEST_P(RandomModels, TrainLikeTheDoubleReference) {
  for (std::uint32_t number = 0; number < kModels; ++number) {
    SCOPED_TRACE("model " + std::to_string(number));
    expect_trains(parse_model(to_json(draw_model(number)), "model.json"));
  }
}

Model model_of(Shape image, std::vector<NamedLayer> layers) {
  return {"test", std::move(image), std::move(layers)};
}

TEST_P(RandomModels, AResidualBehindAFlattenMeetsTheIdentity) {
  expect_trains(model_of({3, 5, 4}, {{"conv", Conv2d{3, 6, {3, 3}}},
                                     {"flatten", Flatten{}},
                                     {"residual", Residual{{{"fc", Linear{36, 36}}}, {}}},
                                     {"fc", Linear{36, 4}}}));
}

TEST_P(RandomModels, TheFlattenOfAPlaneIsLogits) {
  expect_trains(model_of({2, 6, 5}, {{"conv", Conv2d{2, 17, {3, 3}}}, {"flatten", Flatten{}}}));
  expect_trains(model_of({2, 6, 5}, {{"conv", Conv2d{2, 16, {3, 3}}},
                                     {"flatten", Flatten{}},
                                     {"relu", ReLU{}},
                                     {"dropout", Dropout{0.3}}}));
}

// Both summands were images, of different extent: neither lies in memory as the other.
TEST_P(RandomModels, AResidualAddsTheFlattenedOfDifferentImages) {
  const std::vector<NamedLayer> wide = {{"conv", Conv2d{4, 8, {2, 1}, {2, 1}}}, {"flatten", Flatten{}}};
  expect_trains(model_of({1, 4, 5}, {{"conv", Conv2d{1, 4, {3, 3}, {1, 1}, {1, 1}}},
                                     {"residual", Residual{wide, {{"flat", Flatten{}}}}},
                                     {"fc", Linear{80, 3}}}));
}

TEST_P(RandomModels, WhatHasNothingToTrainRuns) {
  expect_trains(model_of({2, 4, 3}, {{"relu", ReLU{}}, {"flatten", Flatten{}}}));
}

TEST(DrawnModels, HaveEveryLayerType) {
  std::vector<std::string> seen;
  for (std::uint32_t number = 0; number < kModels; ++number) {
    const Model model = draw_model(number);
    for (const LayerInfo& info : infer(model, kBatch)) seen.push_back(type_name(*info.layer));
  }
  for (const Layer& layer : layers_of_each_type()) {
    EXPECT_GE(std::ranges::count(seen, type_name(layer)), 5) << type_name(layer);
  }
}

INSTANTIATE_TEST_SUITE_P(, RandomModels, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace convoy
