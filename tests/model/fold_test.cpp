// Batch norms folded into convolutions: by hand, in every place where a model may have them, and what is left
// alone. That networks compute the same is tested in tests/train/inference_test.cpp.
#include "convoy/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void set(StateDict& state, const std::string& name, std::vector<double> values) {
  for (auto& [entry, tensor] : state) {
    if (entry == name) tensor.values = std::move(values);
  }
}

/// A convolution with two outputs and its norm: s = 6 / sqrt(3 + 1) = 3 and -1 / sqrt(0 + 1) = -1.
StateDict two_channels(const Model& model) {
  StateDict state = initial_state(model, 1);
  set(state, "conv.weight", {1, 2, 3, 4});
  set(state, "norm.weight", {6, -1});
  set(state, "norm.bias", {10, 20});
  set(state, "norm.running_mean", {5, 7});
  set(state, "norm.running_var", {3, 0});
  return state;
}

std::vector<std::string> names_of(const StateDict& state) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  return names;
}

std::vector<std::string> layers_of(const Model& model) {
  std::vector<std::string> names;
  for (const LayerInfo& info : infer(model, 1)) names.push_back(info.name + " " + type_name(*info.layer));
  return names;
}

Model conv_and_norm(bool bias) {
  return model_of({2, 4, 4}, {{"conv", Conv2d{.in_channels = 2, .out_channels = 2, .bias = bias}},
                              {"norm", BatchNorm2d{.num_features = 2, .eps = 1.0}},
                              {"relu", ReLU{}}});
}

TEST(Fold, OneByHand) {
  for (const bool bias : {true, false}) {
    SCOPED_TRACE(bias);
    const Model model = conv_and_norm(bias);
    StateDict state = two_channels(model);
    set(state, "conv.bias", {4, 8});
    const FoldedModel folded = fold_batch_norm(model, state);
    EXPECT_THAT(layers_of(folded.model), ElementsAre("conv Conv2d", "relu ReLU"));
    EXPECT_THAT(names_of(folded.state), ElementsAre("conv.weight", "conv.bias"));
    EXPECT_EQ(find(folded.state, "conv.weight")->values, (std::vector<double>{3, 6, -3, -4}));
    EXPECT_EQ(find(folded.state, "conv.weight")->shape, (Shape{2, 2, 1, 1}));
    // beta + (b - mean) s: 10 + (4 - 5) 3 and 20 - (8 - 7); without bias 10 - 5 * 3 and 20 + 7.
    EXPECT_EQ(find(folded.state, "conv.bias")->values,
              bias ? (std::vector<double>{7, 19}) : (std::vector<double>{-5, 27}));
    check_state(folded.model, folded.state, "the folded state");
  }
}

TEST(Fold, TwoNormsInARowAreBothFolded) {
  Model model = conv_and_norm(true);
  model.layers.insert(model.layers.begin() + 2, {"again", BatchNorm2d{.num_features = 2, .eps = 1.0}});
  StateDict state = two_channels(model);
  set(state, "conv.bias", {4, 8});
  set(state, "again.weight", {2, 2});
  set(state, "again.bias", {1, 1});
  set(state, "again.running_mean", {7, 0});
  set(state, "again.running_var", {0, 0});
  const FoldedModel folded = fold_batch_norm(model, state);
  EXPECT_THAT(layers_of(folded.model), ElementsAre("conv Conv2d", "relu ReLU"));
  EXPECT_EQ(find(folded.state, "conv.weight")->values, (std::vector<double>{6, 12, -6, -8}));
  EXPECT_EQ(find(folded.state, "conv.bias")->values, (std::vector<double>{1, 39}));
}

TEST(Fold, ReachesIntoResidualsAndLeavesOtherNormsAlone) {
  const Conv2d conv{.in_channels = 2, .out_channels = 2, .bias = false};
  const BatchNorm2d norm{2};
  const Residual block{{{"conv", conv}, {"norm", norm}, {"relu", ReLU{}}, {"last", norm}},
                       {{"down", conv}, {"down_norm", norm}}};
  const Model model = model_of({2, 4, 4}, {{"first", norm},
                                           {"conv", conv},
                                           {"relu", ReLU{}},
                                           {"late", norm},
                                           {"block", block},
                                           {"behind", norm}});
  const FoldedModel folded = fold_batch_norm(model, initial_state(model, 1));
  EXPECT_THAT(layers_of(folded.model),
              ElementsAre("first BatchNorm2d", "conv Conv2d", "relu ReLU", "late BatchNorm2d",
                          "block.conv Conv2d", "block.relu ReLU", "block.last BatchNorm2d",
                          "block.down Conv2d", "block Residual", "behind BatchNorm2d"));
  EXPECT_NE(find(folded.state, "block.down.bias"), nullptr);
  EXPECT_EQ(find(folded.state, "conv.bias"), nullptr) << "nothing was folded into this one";
  EXPECT_EQ(find(folded.state, "late.num_batches_tracked")->dtype, DType::int64);
}

TEST(Fold, BuiltInModelsLoseAllTheirNorms) {
  for (const char* name : {"convnet", "vgg-small", "resnet9"}) {
    const Model model = builtin_model(name, {3, 32, 32}, 10);
    const FoldedModel folded = fold_batch_norm(model, initial_state(model, 1));
    for (const auto& [tensor, values] : folded.state) EXPECT_FALSE(tensor.ends_with("running_var")) << tensor;
    check_state(folded.model, folded.state, name);
  }
}

TEST(Fold, LeavesANormWithoutFiniteNumbersAsItIs) {
  const Model model = conv_and_norm(true);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double variance : {-0.75, nan, -infinity}) {
    StateDict state = two_channels(model);
    set(state, "norm.running_var", {1, variance});
    EXPECT_EQ(layers_of(fold_batch_norm(model, state).model), layers_of(model)) << variance;
  }
  for (const char* tensor : {"norm.weight", "norm.bias", "norm.running_mean", "conv.bias"}) {
    StateDict state = two_channels(model);
    set(state, "norm.running_var", {1, 1});
    set(state, tensor, {1, nan});
    const FoldedModel folded = fold_batch_norm(model, state);
    EXPECT_EQ(layers_of(folded.model), layers_of(model)) << tensor;
  }
  StateDict state = two_channels(model);
  set(state, "norm.running_var", {1, 1});
  set(state, "norm.weight", {1, 3e38});  // times 4 it is no float any more
  EXPECT_EQ(fold_batch_norm(model, state).state, state);
}

TEST(Fold, RefusesTheStateOfAnotherModel) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const Model other = builtin_model("lenet5", {1, 28, 28}, 10);
  try {
    fold_batch_norm(model, initial_state(other, 1));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is it the state of another model?"));
  }
}

}  // namespace
}  // namespace convoy
