// What infer() says of whole models: order, names, parameters, FLOPs, residuals.
#include <gmock/gmock.h>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

Conv2d conv1x1(std::int64_t in, std::int64_t out) { return {.in_channels = in, .out_channels = out}; }

std::vector<std::string> names(const std::vector<LayerInfo>& infos) {
  std::vector<std::string> result;
  for (const LayerInfo& info : infos) result.push_back(info.name);
  return result;
}

TEST(Infer, KnowsTheConvNet) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const auto infos = infer(model, 100);
  EXPECT_THAT(names(infos), ElementsAre("layer1.0", "layer1.1", "layer1.2", "layer1.3", "layer2.0",
                                        "layer2.1", "layer2.2", "layer2.3", "flatten", "fc"));
  EXPECT_EQ(infos[0].input, (Shape{100, 1, 28, 28}));
  EXPECT_EQ(infos[0].output, (Shape{100, 16, 28, 28}));
  EXPECT_EQ(infos[0].layer, &model.layers[0].layer);
  EXPECT_EQ(infos[3].output, (Shape{100, 16, 14, 14}));
  EXPECT_EQ(infos[4].output, (Shape{100, 32, 14, 14}));
  EXPECT_EQ(infos[8].input, (Shape{100, 32, 7, 7}));
  EXPECT_EQ(infos[8].output, (Shape{100, 1568}));
  EXPECT_EQ(infos[9].output, (Shape{100, 10}));
}

TEST(Infer, CountsParametersAndFlops) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const auto infos = infer(model, 100);
  EXPECT_EQ(infos[0].parameters, 16 * 25 + 16);
  EXPECT_EQ(infos[1].parameters, 2 * 16);  // the running statistics are not trained
  EXPECT_EQ(infos[2].parameters, 0);
  // Twice the multiply-adds: batch x output x (input channels x kernel).
  const std::int64_t conv1 = 2ll * 100 * 16 * 28 * 28 * 25;
  const std::int64_t conv2 = 2ll * 100 * 32 * 14 * 14 * 16 * 25;
  const std::int64_t fc = 2ll * 100 * 10 * 1568;
  EXPECT_EQ(infos[0].forward_flops, conv1);
  EXPECT_EQ(infos[0].backward_flops, conv1);  // images get no gradient
  EXPECT_EQ(infos[1].forward_flops, 0);
  EXPECT_EQ(infos[1].backward_flops, 0);
  EXPECT_EQ(infos[4].forward_flops, conv2);
  EXPECT_EQ(infos[4].backward_flops, 2 * conv2);
  EXPECT_EQ(infos[9].forward_flops, fc);
  EXPECT_EQ(infos[9].backward_flops, 2 * fc);
}

TEST(Infer, CountsGroupedConvolutions) {
  Conv2d layer = conv1x1(4, 6);
  layer.kernel_size = {3, 2};
  layer.groups = 2;
  layer.bias = false;
  const Model model = single({4, 5, 5}, layer);
  const LayerInfo info = info_of(model, 7, "layer");
  EXPECT_EQ(info.parameters, 6 * 2 * 3 * 2);
  EXPECT_EQ(info.forward_flops, 2 * 7 * 6 * 3 * 4 * (2 * 3 * 2));
}

TEST(Infer, AnyTrainedLayerInFrontNeedsAnInputGradient) {
  const Model model = model_of(
      {2, 4, 4}, {{"relu", ReLU{}}, {"bn", BatchNorm2d{2}}, {"pool", MaxPool2d{}}, {"conv", conv1x1(2, 3)}});
  const LayerInfo info = info_of(model, 1, "conv");
  EXPECT_EQ(info.backward_flops, 2 * info.forward_flops);
}

TEST(Infer, ResidualComesBehindItsBodyAndShortcut) {
  const Model model =
      model_of({2, 4, 4}, {{"res", Residual{.body = {{"body.0", conv1x1(2, 3)}, {"body.1", ReLU{}}},
                                            .shortcut = {{"shortcut", conv1x1(2, 3)}}}},
                           {"conv", conv1x1(3, 1)}});
  const auto infos = infer(model, 5);
  EXPECT_THAT(names(infos), ElementsAre("res.body.0", "res.body.1", "res.shortcut", "res", "conv"));
  EXPECT_EQ(infos[2].input, (Shape{5, 2, 4, 4}));
  EXPECT_EQ(infos[2].backward_flops, infos[2].forward_flops);  // the body is not in front of the shortcut
  EXPECT_EQ(infos[3].input, (Shape{5, 2, 4, 4}));
  EXPECT_EQ(infos[3].output, (Shape{5, 3, 4, 4}));
  EXPECT_EQ(infos[3].parameters, 0);
  EXPECT_EQ(infos[3].layer, &model.layers[0].layer);
  EXPECT_EQ(infos[4].backward_flops, 2 * infos[4].forward_flops);
}

TEST(Infer, AResidualIsTrainedIfEitherBranchIs) {
  for (const bool in_body : {true, false}) {
    SCOPED_TRACE(in_body);
    Residual residual{.body = {{"a", ReLU{}}}, .shortcut = {{"b", ReLU{}}}};
    (in_body ? residual.body : residual.shortcut).push_back({"bn", BatchNorm2d{2}});
    const Model model = model_of({2, 4, 4}, {{"res", residual}, {"conv", conv1x1(2, 3)}});
    const LayerInfo conv = info_of(model, 1, "conv");
    EXPECT_EQ(conv.backward_flops, 2 * conv.forward_flops);
  }
}

TEST(Infer, ResidualBranchesMustAgree) {
  EXPECT_THAT(
      [] {
        infer(model_of({2, 4, 4}, {{"res", Residual{.body = {{"conv", conv1x1(2, 3)}}, .shortcut = {}}}}), 5);
      },
      ThrowsMessage<UsageError>(
          "layer 'res' (Residual): its body gives [5, 3, 4, 4], but its shortcut (the identity) "
          "gives [5, 2, 4, 4]; make them equal, for example by a 1x1 Conv2d with the body's "
          "channels and stride in the shortcut"));
  EXPECT_THAT(
      [] {
        infer(model_of({2, 4, 4}, {{"res", Residual{.body = {{"conv", conv1x1(2, 3)}},
                                                    .shortcut = {{"pool", MaxPool2d{}}}}}}),
              5);
      },
      ThrowsMessage<UsageError>(HasSubstr("its shortcut gives [5, 2, 2, 2]")));
  EXPECT_THAT(
      [] {
        infer(single({2, 4, 4}, Residual{}), 5);
      },
      ThrowsMessage<UsageError>("layer 'layer' (Residual): its body is empty; give it at least one layer"));
}

Model nested(int depth) {
  Layer layer = ReLU{};
  for (int level = 0; level < depth; ++level) layer = Residual{.body = {{"r", layer}}, .shortcut = {}};
  return single({1, 2, 2}, layer);
}

TEST(Infer, ResidualsNestEightDeep) {
  EXPECT_EQ(infer(nested(8), 1).size(), 9u);
  EXPECT_EQ(infer(nested(8), 1).front().name, "layer.r.r.r.r.r.r.r.r");
  EXPECT_THAT(
      [] { infer(nested(9), 1); },
      ThrowsMessage<UsageError>("layer 'layer.r.r.r.r.r.r.r.r' (Residual): residuals are nested more than 8 "
                                "deep; flatten the model"));
}

TEST(Infer, NamesMustBeUniqueAndFitForAStateDict) {
  EXPECT_THAT(
      [] {
        infer(model_of({1, 2, 2}, {{"a", ReLU{}}, {"a", Flatten{}}}), 1);
      },
      ThrowsMessage<UsageError>(
          "layer 'a' (Flatten): the name is taken by another layer; rename one of them"));
  EXPECT_THAT(
      [] {
        infer(
            model_of({1, 2, 2}, {{"a.b", ReLU{}}, {"a", Residual{.body = {{"b", ReLU{}}}, .shortcut = {}}}}),
            1);
      },
      ThrowsMessage<UsageError>(HasSubstr("layer 'a.b' (ReLU): the name is taken")));
  for (const std::string name : {"", ".a", "a.", "a..b", "a b", "a/b", "a\nb", "\xc3\xa9"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(
        [&] {
          infer(model_of({1, 2, 2}, {{name, ReLU{}}}), 1);
        },
        ThrowsMessage<UsageError>(HasSubstr("a name is made of letters, digits, '_' and '-'")));
  }
}

TEST(Infer, RefusesModelsThatCannotBe) {
  const std::vector<NamedLayer> relu = {{"relu", ReLU{}}};
  EXPECT_THAT(
      [&] {
        infer(model_of({28, 28}, relu), 1);
      },
      ThrowsMessage<UsageError>(
          "model 'test': input [28, 28] is not an image shape [C, H, W] of positive sizes"));
  EXPECT_THAT(
      [&] {
        infer(model_of({1, 0, 28}, relu), 1);
      },
      ThrowsMessage<UsageError>(HasSubstr("input [1, 0, 28]")));
  EXPECT_THAT(
      [&] {
        infer(model_of({1, 2, 2}, {}), 1);
      },
      ThrowsMessage<UsageError>("model 'test' has no layers"));
  EXPECT_THAT(
      [&] {
        infer(model_of({1, 2, 2}, relu), 0);
      },
      ThrowsMessage<UsageError>("batch size 0 is not positive"));
  const std::int64_t most = std::int64_t{1} << 62;
  EXPECT_THAT(
      [&] {
        infer(model_of({most, most, most}, relu), most);
      },
      ThrowsMessage<UsageError>(HasSubstr("has more than 2147483647 elements; use a smaller batch size")));
  EXPECT_EQ(infer(model_of({1, 1, 1}, relu), 2'147'483'647).size(), 1u);
  EXPECT_THROW(infer(model_of({1, 1, 1}, relu), 2'147'483'648), UsageError);
}

TEST(Infer, RefusesMoreParametersOrFlopsThanMakeSense) {
  const Linear wide{40'000, 40'000};  // 1.6e9 weights
  EXPECT_THAT(
      [&] {
        infer(model_of({40'000, 1, 1}, {{"f", Flatten{}}, {"a", wide}, {"b", wide}}), 1);
      },
      ThrowsMessage<UsageError>(
          "layer 'b' (Linear): with it the model has more than 2147483647 parameters; make it smaller"));

  // 40,000 x 40,000 outputs, each the sum of 40,000 x 40,000 products.
  const Conv2d huge{
      .in_channels = 1, .out_channels = 1, .kernel_size = {40'000, 40'000}, .padding = {39'999, 39'999}};
  EXPECT_THAT(
      [&] {
        infer(single({1, 2, 2}, huge), 1);
      },
      ThrowsMessage<UsageError>(
          "layer 'layer' (Conv2d): needs more than 3e17 FLOPs; make it or the batch smaller"));

  Conv2d large{
      .in_channels = 1, .out_channels = 1, .kernel_size = {15'001, 15'001}, .padding = {7'500, 7'500}};
  std::vector<NamedLayer> layers;  // 2 x 22,500 x 22,500 x 15,001 x 15,001 = 2.3e17 FLOPs each way and layer
  for (int i = 0; i < 3; ++i) layers.push_back({std::to_string(i), large});
  EXPECT_THAT(
      [&] {
        infer(model_of({1, 22'500, 22'500}, layers), 1);
      },
      ThrowsMessage<UsageError>(
          "layer '1' (Conv2d): with it a training step takes more than 1e18 FLOPs; make "
          "the model smaller"));
}

TEST(ClassCount, IsTheLastLayersWidth) {
  EXPECT_EQ(class_count(builtin_model("convnet", {1, 28, 28}, 7)), 7);
  EXPECT_THAT(
      [] {
        class_count(single({3, 4, 4}, GlobalAvgPool2d{}));
      },
      ThrowsMessage<UsageError>(
          "model 'test': its last layer 'layer' puts out [1, 3, 1, 1], not [N, classes]; "
          "end with a Flatten and a Linear"));
}

}  // namespace
}  // namespace convoy
