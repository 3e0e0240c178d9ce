// What a model becomes on a backend: its operations, its tensors, its state.
#include "engine/train/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "engine/backend/reference/reference.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Variable images_of(Backend& backend, const Model& model, std::int64_t batch) {
  const Shape shape{batch, model.input[0], model.input[1], model.input[2]};
  return {backend.make_activation(shape), nullptr};
}

std::vector<std::string> operation_names(const Network& network) {
  std::vector<std::string> names;
  for (const NamedOperation& step : network.operations()) names.push_back(step.name + " " + step.type);
  return names;
}

TEST(Network, FusesBatchNormWithReluAndSkipsFlatten) {
  const auto backend = make_reference_backend();
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const Parameters parameters(*backend, model, initial_state(model, 1));
  const Network network(*backend, model, parameters, images_of(*backend, model, 3), {});
  EXPECT_THAT(operation_names(network),
              ElementsAre("layer1.0 Conv2d", "layer1.1 BatchNorm2d+ReLU", "layer1.3 MaxPool2d",
                          "layer2.0 Conv2d", "layer2.1 BatchNorm2d+ReLU", "layer2.3 MaxPool2d", "fc Linear"));
  EXPECT_EQ(network.output().value->shape(), (Shape{3, 10}));
}

TEST(Network, FusesAConvolutionWithItsRelu) {
  const auto backend = make_reference_backend();
  const Model model{"small", {1, 4, 4}, {{"a", Conv2d{1, 2, {3, 3}}}, {"relu", ReLU{}}, {"b", Conv2d{2, 3}}}};
  const StateDict state = initial_state(model, 1);
  const Parameters trained(*backend, model, state);
  const Parameters constant(*backend, model, state, /*with_gradients=*/false);
  EXPECT_TRUE(constant.gradients().empty());
  const Variable images = images_of(*backend, model, 2);
  for (const Parameters* parameters : {&trained, &constant}) {
    EXPECT_THAT(operation_names(Network(*backend, model, *parameters, images, {})),
                ElementsAre("a Conv2d+ReLU", "b Conv2d"));
  }
}

TEST(Network, LeavesTheBiasInFrontOfABatchNormAtRest) {
  const auto backend = make_reference_backend();
  const Model model{
      "two", {1, 4, 4}, {{"a", Conv2d{1, 2, {3, 3}}}, {"norm", BatchNorm2d{2}}, {"b", Conv2d{2, 3, {2, 2}}}}};
  const Parameters parameters(*backend, model, initial_state(model, 1));
  const Variable images = images_of(*backend, model, 2);
  backend->write(*images.value, std::vector<double>(32, 0.5));
  Network network(*backend, model, parameters, images, {});
  network.forward(Phase::training);
  backend->write(*network.output().grad, std::vector<double>{1, 2, 3, 4, 5, 6});
  network.backward();
  const StateDict gradients = parameters.gradients();
  EXPECT_EQ(find(gradients, "a.bias")->values, (std::vector<double>{0, 0}));
  EXPECT_EQ(find(gradients, "b.bias")->values, (std::vector<double>{1 + 4, 2 + 5, 3 + 6}));
}

TEST(Network, ForksOnlyWhatNeedsAGradient) {
  const auto backend = make_reference_backend();
  const Conv2d same{2, 2, {3, 3}, {1, 1}, {1, 1}};
  const Residual block{{{"body", same}}, {}};
  const Model model{"two blocks", {2, 4, 4}, {{"res1", block}, {"res2", block}}};
  const Parameters parameters(*backend, model, initial_state(model, 1));
  const Network network(*backend, model, parameters, images_of(*backend, model, 2), {});
  // Nothing in front of res1 is trained, so its input has no gradient to add up.
  EXPECT_THAT(operation_names(network),
              ElementsAre("res1.body Conv2d", "res1 Add", "res2.fork Fork", "res2.body Conv2d", "res2 Add"));
}

TEST(Network, RefusesImagesOfAnotherShape) {
  const auto backend = make_reference_backend();
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const Parameters parameters(*backend, model, initial_state(model, 1));
  const Variable images{backend->make_activation({2, 3, 32, 32}), nullptr};
  try {
    Network(*backend, model, parameters, images, {});
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("[1, 28, 28]"));
    EXPECT_THAT(error.what(), HasSubstr("[2, 3, 32, 32]"));
  }
}

TEST(Parameters, GiveBackTheStateTheyWereLoadedWith) {
  const auto backend = make_reference_backend();
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const StateDict state = initial_state(model, 5);
  const Parameters parameters(*backend, model, state);
  EXPECT_EQ(parameters.state(0), state);
  EXPECT_EQ(parameters.at("fc.weight").value->shape(), (Shape{10, 1568}));
}

TEST(Parameters, CountTheBatchesOfTraining) {
  const auto backend = make_reference_backend();
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  StateDict state = initial_state(model, 5);
  for (auto& [name, tensor] : state) {
    if (name == "layer2.1.num_batches_tracked") tensor.values = {600};
  }
  const Parameters parameters(*backend, model, state);
  const StateDict later = parameters.state(/*training_steps=*/7);
  EXPECT_EQ(find(later, "layer1.1.num_batches_tracked")->values, std::vector{7.0});
  EXPECT_EQ(find(later, "layer2.1.num_batches_tracked")->values, std::vector{607.0});
}

TEST(Parameters, RefuseTheStateOfAnotherModel) {
  const auto backend = make_reference_backend();
  const Model small = builtin_model("lenet5", {1, 28, 28}, 10);
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  EXPECT_THROW(Parameters(*backend, model, initial_state(small, 1)), Error);
  const Parameters parameters(*backend, model, initial_state(model, 1));
  EXPECT_THROW(parameters.at("layer3.0.weight"), Error);
}

}  // namespace
}  // namespace convoy
