#include "convoy/builtin.h"

#include <gmock/gmock.h>

#include "convoy/error.h"
#include "convoy/state.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Shape kMnist = {1, 28, 28};
const Shape kCifar = {3, 32, 32};

constexpr std::int64_t conv(std::int64_t in, std::int64_t out, std::int64_t kernel) {
  return in * out * kernel * kernel;
}

TEST(Builtin, Names) {
  const auto names = builtin_model_names();
  EXPECT_THAT(std::vector<std::string>(names.begin(), names.end()),
              ElementsAre("convnet", "lenet5", "vgg-small", "resnet9"));
}

TEST(Builtin, AllClassifyMnistAndCifar) {
  for (const std::string_view name : builtin_model_names()) {
    for (const Shape& image : {kMnist, kCifar}) {
      SCOPED_TRACE(std::string(name) + image.str());
      const Model model = builtin_model(std::string(name), image, 10);
      EXPECT_EQ(model.name, name);
      EXPECT_EQ(model.input, image);
      EXPECT_EQ(class_count(model), 10);
      EXPECT_EQ(infer(model, 3).back().output, (Shape{3, 10}));
    }
  }
}

TEST(Builtin, ConvNetHasTheClassicParameters) {
  EXPECT_EQ(parameter_count(builtin_model("convnet", kMnist, 10)), 29'034);
  EXPECT_EQ(parameter_count(builtin_model("convnet", kMnist, 10)),
            (conv(1, 16, 5) + 16) + 2 * 16 + (conv(16, 32, 5) + 32) + 2 * 32 + (7 * 7 * 32 * 10 + 10));
  EXPECT_EQ(parameter_count(builtin_model("convnet", kCifar, 10)),
            (conv(3, 16, 5) + 16) + 2 * 16 + (conv(16, 32, 5) + 32) + 2 * 32 + (8 * 8 * 32 * 10 + 10));
}

TEST(Builtin, LeNet5) {
  const Model model = builtin_model("lenet5", kMnist, 10);
  EXPECT_EQ(info_of(model, 1, "conv1").output, (Shape{1, 6, 28, 28}));
  EXPECT_EQ(info_of(model, 1, "conv2").output, (Shape{1, 16, 10, 10}));
  EXPECT_EQ(info_of(model, 1, "flatten").output, (Shape{1, 400}));
  EXPECT_EQ(info_of(builtin_model("lenet5", kCifar, 10), 1, "conv1").output, (Shape{1, 6, 28, 28}));

  const std::int64_t behind_conv1 =
      (conv(6, 16, 5) + 16) + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10);
  EXPECT_EQ(parameter_count(model), (conv(1, 6, 5) + 6) + behind_conv1);
  EXPECT_EQ(parameter_count(model), 61'706);
  EXPECT_EQ(parameter_count(builtin_model("lenet5", kCifar, 10)), (conv(3, 6, 5) + 6) + behind_conv1);
  EXPECT_EQ(tensor_specs(model).front().name, "conv1.weight");
  EXPECT_EQ(tensor_specs(model).back().name, "fc3.bias");
}

TEST(Builtin, VggSmall) {
  const Model model = builtin_model("vgg-small", kMnist, 10);
  EXPECT_EQ(info_of(model, 1, "features.6").output, (Shape{1, 32, 14, 14}));
  EXPECT_EQ(info_of(model, 1, "features.13").output, (Shape{1, 64, 7, 7}));
  EXPECT_EQ(info_of(model, 1, "features.20").output, (Shape{1, 128, 3, 3}));
  EXPECT_EQ(type_name(*info_of(model, 1, "classifier.0").layer), "Dropout");

  // Each convolution has a bias, each batch norm a weight and a bias.
  std::int64_t behind_first = (conv(32, 32, 3) + 3 * 32) + (conv(32, 64, 3) + 3 * 64) +
                              (conv(64, 64, 3) + 3 * 64) + (conv(64, 128, 3) + 3 * 128) +
                              (conv(128, 128, 3) + 3 * 128);
  EXPECT_EQ(parameter_count(model), (conv(1, 32, 3) + 3 * 32) + behind_first + (3 * 3 * 128 * 10 + 10));
  EXPECT_EQ(parameter_count(model), 298'858);
  EXPECT_EQ(parameter_count(builtin_model("vgg-small", kCifar, 10)),
            (conv(3, 32, 3) + 3 * 32) + behind_first + (4 * 4 * 128 * 10 + 10));
}

TEST(Builtin, ResNet9) {
  const Model model = builtin_model("resnet9", kCifar, 10);
  EXPECT_EQ(info_of(model, 1, "prep.relu").output, (Shape{1, 64, 32, 32}));
  EXPECT_EQ(info_of(model, 1, "layer1.residual").output, (Shape{1, 128, 16, 16}));
  EXPECT_EQ(info_of(model, 1, "layer2.pool").output, (Shape{1, 256, 8, 8}));
  EXPECT_EQ(info_of(model, 1, "layer3.residual").output, (Shape{1, 512, 4, 4}));
  EXPECT_EQ(info_of(model, 1, "classifier.pool").output, (Shape{1, 512, 1, 1}));
  EXPECT_EQ(info_of(builtin_model("resnet9", kMnist, 10), 1, "layer3.residual").output,
            (Shape{1, 512, 3, 3}));

  // Nothing but the batch norms has a bias.
  const auto block = [](std::int64_t in, std::int64_t out) { return conv(in, out, 3) + 2 * out; };
  const std::int64_t behind_prep = block(64, 128) + 2 * block(128, 128) + block(128, 256) + block(256, 512) +
                                   2 * block(512, 512) + 512 * 10;
  EXPECT_EQ(parameter_count(model), block(3, 64) + behind_prep);
  EXPECT_EQ(parameter_count(model), 6'573'120);  // the published count of this network
  EXPECT_EQ(parameter_count(builtin_model("resnet9", kMnist, 10)), block(1, 64) + behind_prep);
  EXPECT_EQ(tensor_specs(model)[17].name, "layer1.residual.res1.bn.num_batches_tracked");
}

TEST(Builtin, SmallestImages) {
  const std::vector<std::pair<std::string, std::int64_t>> smallest = {
      {"convnet", 4}, {"lenet5", 12}, {"vgg-small", 8}, {"resnet9", 8}};
  for (const auto& [name, size] : smallest) {
    SCOPED_TRACE(name);
    EXPECT_EQ(class_count(builtin_model(name, {1, size, size + 3}, 4)), 4);
    EXPECT_THAT(
        [&] {
          builtin_model(name, {1, size + 3, size - 1}, 4);
        },
        ThrowsMessage<UsageError>(HasSubstr("'" + name + "' needs images of at least " +
                                            std::to_string(size) + "x" + std::to_string(size) + " pixels")));
  }
}

TEST(Builtin, OddAndMixedPlanes) {
  for (const std::string_view name : builtin_model_names()) {
    for (const Shape& image : {Shape{2, 28, 32}, Shape{1, 33, 47}, Shape{4, 64, 31}}) {
      SCOPED_TRACE(std::string(name) + image.str());
      EXPECT_EQ(class_count(builtin_model(std::string(name), image, 3)), 3);
    }
  }
}

TEST(Builtin, RefusesWhatCannotBe) {
  EXPECT_THAT(
      [] { builtin_model("resnet10", kMnist, 10); },
      ThrowsMessage<UsageError>("there is no built-in model 'resnet10'; choose one of convnet, lenet5, "
                                "vgg-small, resnet9, or a .json file"));
  EXPECT_THAT(
      [] {
        builtin_model("convnet", {28, 28}, 10);
      },
      ThrowsMessage<UsageError>("model 'convnet': [28, 28] is not an image shape [C, H, W]"));
  EXPECT_THAT(
      [] {
        builtin_model("convnet", {0, 28, 28}, 10);
      },
      ThrowsMessage<UsageError>(HasSubstr("[0, 28, 28]")));
  EXPECT_THAT([] { builtin_model("convnet", kMnist, 0); },
              ThrowsMessage<UsageError>("model 'convnet': 0 classes are too few"));
  EXPECT_THAT(
      [] { builtin_model("convnet", kMnist, std::int64_t{1} << 60); },
      ThrowsMessage<UsageError>(HasSubstr("layer 'fc' (Linear): out_features is 1152921504606846976")));
  EXPECT_THAT(
      [] {
        builtin_model("vgg-small", {1, std::int64_t{1} << 40, std::int64_t{1} << 40}, 10);
      },
      ThrowsMessage<UsageError>(HasSubstr("has more than 2147483647 elements")));
}

}  // namespace
}  // namespace convoy
