// Inference: the same answers as the network that was trained, without what training needs.
#include "convoy/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "convoy/builtin.h"
#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/fold.h"
#include "convoy/trainer.h"
#include "engine/backend/backend.h"
#include "engine/backend/reference/reference.h"
#include "engine/core/arg_max.h"
#include "engine/core/philox.h"
#include "tests/usable_backends.h"

namespace convoy {
namespace {

using testing::HasSubstr;

Dataset noise(std::int64_t count, const Shape& image, std::int64_t classes) {
  Dataset data{.name = "noise", .image = image, .classes = classes};
  PhiloxSequence random({5, 0});
  for (std::int64_t i = 0; i < count * image.count(); ++i)
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  for (std::int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % classes));
  return data;
}

/// A state whose norms do something: gammas of both signs, means and variances of their own.
StateDict lived_in(const Model& model) {
  StateDict state = initial_state(model, 3);
  PhiloxSequence random({4, 0});
  const auto fill = [&](HostTensor& tensor, double low, double high) {
    for (double& value : tensor.values) value = static_cast<float>(random.uniform(low, high));
  };
  for (std::size_t i = 0; i < state.size(); ++i) {
    const TensorSpec spec = tensor_specs(model)[i];
    HostTensor& tensor = state[i].second;
    const bool of_a_norm = spec.shape.rank() == 1 && spec.init_bound == 0.0;
    if (spec.role == TensorRole::running_var) fill(tensor, 0.1, 2.0);
    if (spec.role == TensorRole::running_mean) fill(tensor, -0.5, 0.5);
    if (spec.role == TensorRole::weight && of_a_norm) fill(tensor, -1.5, 1.5);
    if (spec.role == TensorRole::bias && of_a_norm) fill(tensor, -0.5, 0.5);
  }
  return state;
}

/// Norms folded in a body and in a shortcut, one that stays, one over a single value, and dropout.
Model awkward() {
  const Conv2d conv{.in_channels = 4,
                    .out_channels = 4,
                    .kernel_size = {3, 3},
                    .padding = {1, 1},
                    .groups = 2,
                    .bias = false};
  const Residual block{
      {{"conv", conv}, {"norm", BatchNorm2d{4}}, {"relu", ReLU{}}, {"last", BatchNorm2d{4}}},
      {{"down", Conv2d{.in_channels = 4, .out_channels = 4}}, {"down_norm", BatchNorm2d{4}}}};
  return {"awkward",
          {1, 6, 6},
          {{"stem", Conv2d{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}, .padding = {1, 1}}},
           {"relu", ReLU{}},
           {"block", block},
           {"pool", GlobalAvgPool2d{}},
           {"late", BatchNorm2d{4}},
           {"drop", Dropout{}},
           {"flatten", Flatten{}},
           {"fc", Linear{.in_features = 4, .out_features = 3}}}};
}

class InferenceTest : public testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<Backend> backend_ = make_exact_backend(GetParam()).backend;
};

double largest(const std::vector<double>& values) {
  double result = 0.0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

// What the norms amplify counts, too: a gamma of 1.5 over the root of 0.1 is about 5, and two norms in a row
// stand in the longest path. Sums are of at most 1024 products, so rounding walks to 32 eps.
TEST_P(InferenceTest, AnswersAsTheTrainedNetworkDoes) {
  const std::vector<Model> models = {builtin_model("convnet", {1, 8, 8}, 3), awkward(),
                                     builtin_model("vgg-small", {1, 8, 8}, 3)};
  for (const Model& model : models) {
    SCOPED_TRACE(model.name);
    const Dataset data = noise(13, model.input, 3);
    const StateDict state = lived_in(model);
    Trainer trainer(*backend_, model, state, {.batch_size = 5});
    Inference inference(*backend_, model, state, 5);
    const std::vector<double> expected = trainer.predict(data), actual = inference.predict(data);
    const double tolerance = 4 * 32 * backend_->epsilon() * largest(expected);
    ASSERT_EQ(actual.size(), 13u * 3u);
    for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << i;

    const Evaluation trained = trainer.evaluate(data), folded = inference.evaluate(data);
    EXPECT_EQ(folded.samples, 13);
    EXPECT_EQ(folded.accuracy, trained.accuracy);
    EXPECT_NEAR(folded.loss, trained.loss, 2 * tolerance);
    EXPECT_EQ(inference.predict(data), actual) << "the same bits again";
  }
}

TEST_P(InferenceTest, TakesOneImageAtATime) {  // "late" then has one element a channel
  const Model model = awkward();
  const Dataset data = noise(3, model.input, 3);
  const StateDict state = lived_in(model);
  Inference one_by_one(*backend_, model, state, 1), at_once(*backend_, model, state, 8);
  const std::vector<double> expected = at_once.predict(data), actual = one_by_one.predict(data);
  ASSERT_EQ(actual.size(), 9u);
  const double tolerance = 4 * 32 * backend_->epsilon() * largest(expected);
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << i;
}

/// Each image mirrored, if asked, then moved so that pixel (y, x) is what was (y + by, x + by), by hand.
Dataset seen(const Dataset& data, bool flip, std::int64_t by) {
  Dataset result = data;
  const std::int64_t height = data.image[1], width = data.image[2];
  const auto mirrored = [](std::int64_t at, std::int64_t size) {
    return at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
  };
  for (std::int64_t i = 0; i < std::ssize(data.pixels); ++i) {
    const std::int64_t plane = i / (height * width);
    const std::int64_t y = mirrored(i / width % height + by, height), x = mirrored(i % width + by, width);
    result.pixels[static_cast<std::size_t>(i)] =
        data.pixels[static_cast<std::size_t>((plane * height + y) * width + (flip ? width - 1 - x : x))];
  }
  return result;
}

TEST(ArgMax, ANaNIsTheLargestAndTheFirstOfEqualsWins) {
  const auto of = [](std::vector<double> row) { return arg_max(std::span<const double>(row)); };
  EXPECT_EQ(of({1, 3, 3, 2}), 1u);
  EXPECT_EQ(of({3, 1, std::nan(""), std::nan("")}), 2u);
  EXPECT_EQ(of({std::nan(""), 5}), 0u);
}

// The views' bytes are the same, so their logits are, too: what is left is the order of six summands.
TEST_P(InferenceTest, TestTimeAugmentationIsTheMeanOfTheViews) {
  const Model model = builtin_model("convnet", {1, 8, 8}, 3);
  const Dataset data = noise(13, model.input, 3);
  Inference inference(*backend_, model, lived_in(model), 5);
  struct View {
    bool flip;
    std::int64_t by;
    double weight;
  };
  const struct {
    TestTimeAugmentation asked;
    std::vector<View> views;
  } cases[] = {{{.flip = true}, {{false, 0, 0.5}, {true, 0, 0.5}}},
               {{.shift = true}, {{false, 0, 0.5}, {false, -1, 0.25}, {false, 1, 0.25}}},
               {{.flip = true, .shift = true},
                {{false, 0, 0.25},
                 {true, 0, 0.25},
                 {false, -1, 0.125},
                 {true, -1, 0.125},
                 {false, 1, 0.125},
                 {true, 1, 0.125}}}};
  for (const auto& [asked, views] : cases) {
    SCOPED_TRACE(testing::Message() << "flip " << asked.flip << ", shift " << asked.shift);
    std::vector<double> expected(13 * 3, 0.0);
    for (const View& view : views) {
      const std::vector<double> logits = inference.predict(seen(data, view.flip, view.by));
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += view.weight * logits[i];
    }
    const std::vector<double> actual = inference.predict(data, asked);
    ASSERT_EQ(actual.size(), expected.size());
    // A GPU's own kernel normalises by one multiplication and one addition either way.
    for (std::size_t i = 0; i < actual.size(); ++i) {
      EXPECT_NEAR(actual[i], expected[i], 8 * 0x1p-53 * largest(expected)) << i;
    }
    double loss = 0.0, hits = 0.0;
    for (std::size_t n = 0; n < 13; ++n) {
      const double* const z = &expected[n * 3];
      loss += std::log(std::exp(z[0]) + std::exp(z[1]) + std::exp(z[2])) - z[data.labels[n]];
      hits += std::max_element(z, z + 3) - z == data.labels[n] ? 1 : 0;
    }
    const Evaluation evaluation = inference.evaluate(data, asked);
    EXPECT_EQ(evaluation.samples, 13);
    EXPECT_NEAR(evaluation.loss, loss / 13, 1e-12 * largest(expected));
    EXPECT_EQ(evaluation.accuracy, hits / 13);
    EXPECT_EQ(inference.predict(data, asked), actual) << "the same bits again";
  }
}

TEST_P(InferenceTest, KeepsOnlyWeightsAndActivationsOnTheDevice) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const StateDict state = initial_state(model, 1);
  const std::int64_t before = backend_->memory().allocated;
  const Inference inference(*backend_, model, state, 20);
  const std::int64_t inferring = backend_->memory().allocated - before;
  const Trainer trainer(*backend_, model, state, {.batch_size = 20});
  const std::int64_t training = backend_->memory().allocated - before - inferring;
  if (training == 0) GTEST_SKIP() << "the host's memory is not counted";
  EXPECT_GT(inferring, 0);
  // Without gradients half of it, without what norms put out another part.
  EXPECT_LT(inferring, training / 2);
}

INSTANTIATE_TEST_SUITE_P(On, InferenceTest, testing::ValuesIn(usable_backends()),
                         [](const auto& instance) { return instance.param; });

// In double, folding is exact but for its own rounding: nothing hides behind a float's.
TEST(Inference, IsTheSameFunctionInDouble) {
  const auto backend = make_double_reference_backend();
  const Model model = awkward();
  const Dataset data = noise(4, model.input, 3);
  const StateDict state = lived_in(model);
  const std::vector<double> expected = Trainer(*backend, model, state, {.batch_size = 4}).predict(data);
  const std::vector<double> actual = Inference(*backend, model, state, 4).predict(data);
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], 1e-13 * largest(expected));
}

TEST(Inference, RefusesWhatCannotBe) {
  const auto backend = make_reference_backend();
  const Model model = builtin_model("convnet", {1, 8, 8}, 3);
  const StateDict state = initial_state(model, 1);
  const auto refusal = [&](const StateDict& given, std::int64_t batch, const Dataset& data) -> std::string {
    try {
      Inference(*backend, model, given, batch).evaluate(data);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  const Dataset data = noise(4, model.input, 3);
  EXPECT_THAT(refusal(state, 0, data), HasSubstr("batch size 0"));
  EXPECT_THAT(refusal(initial_state(builtin_model("convnet", {1, 8, 8}, 4), 1), 2, data),
              HasSubstr("fc.weight"));
  StateDict diverged = state;
  diverged[2].second.values[1] = std::nan("");
  EXPECT_THAT(refusal(diverged, 2, data), HasSubstr("'" + diverged[2].first + "' holds nan"));
  EXPECT_THAT(refusal(state, 2, noise(4, {1, 9, 9}, 3)), HasSubstr("[1, 9, 9]"));
  EXPECT_THAT(refusal(state, 2, noise(4, model.input, 7)), HasSubstr("7 classes"));
  EXPECT_THAT(refusal(state, 2, Dataset{.name = "nothing", .image = model.input}), HasSubstr("no images"));
}

}  // namespace
}  // namespace convoy
