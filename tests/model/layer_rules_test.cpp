// Every layer's output shape, and every way in which a layer can be wrong.
#include <gmock/gmock.h>

#include <cmath>

#include "convoy/error.h"
#include "engine/model/layer_rules.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::int64_t kHuge = std::int64_t{1} << 40;

Shape output(const Shape& image, const Layer& layer) { return infer(single(image, layer), 5).back().output; }

/// Matches a call that refuses `layer` behind [5, ...image] with exactly that problem.
void expect_refused(const Shape& image, const Layer& layer, const std::string& problem) {
  EXPECT_THAT([&] { infer(single(image, layer), 5); },
              ThrowsMessage<UsageError>("layer 'layer' (" + type_name(layer) + "): " + problem));
}

Conv2d conv(std::int64_t in, std::int64_t out, Extent kernel) {
  return {.in_channels = in, .out_channels = out, .kernel_size = kernel};
}

// The expected shapes are what torch.nn gives for the same settings.
TEST(LayerShape, Convolution) {
  EXPECT_EQ(output({3, 11, 9}, conv(3, 4, {3, 2})), (Shape{5, 4, 9, 8}));
  Conv2d layer = conv(4, 6, {3, 2});
  layer.stride = {2, 3};
  layer.padding = {1, 0};
  layer.dilation = {2, 1};
  layer.groups = 2;
  EXPECT_EQ(output({4, 11, 9}, layer), (Shape{5, 6, 5, 3}));
  EXPECT_EQ(output({1, 1, 1}, conv(1, 7, {1, 1})), (Shape{5, 7, 1, 1}));
  layer.padding = {6, 2};  // beyond the kernel's reach [5, 2]
  EXPECT_EQ(output({4, 11, 9}, layer), (Shape{5, 6, 10, 4}));
}

TEST(LayerShape, Pools) {
  EXPECT_EQ(output({3, 7, 9}, MaxPool2d{}), (Shape{5, 3, 3, 4}));
  EXPECT_EQ(output({3, 7, 9}, MaxPool2d{{3, 2}, {2, 0}, {1, 1}}), (Shape{5, 3, 4, 5}));
  EXPECT_EQ(output({3, 7, 9}, AvgPool2d{{3, 3}, {1, 1}, {1, 1}}), (Shape{5, 3, 7, 9}));
  EXPECT_EQ(output({3, 7, 9}, GlobalAvgPool2d{}), (Shape{5, 3, 1, 1}));
}

TEST(LayerShape, LayersThatKeepOrFlattenTheShape) {
  EXPECT_EQ(output({3, 7, 9}, BatchNorm2d{3}), (Shape{5, 3, 7, 9}));
  EXPECT_EQ(output({3, 7, 9}, ReLU{}), (Shape{5, 3, 7, 9}));
  EXPECT_EQ(output({3, 7, 9}, Dropout{0.0}), (Shape{5, 3, 7, 9}));
  EXPECT_EQ(output({3, 7, 9}, Dropout{1.0}), (Shape{5, 3, 7, 9}));
  EXPECT_EQ(output({3, 7, 9}, Flatten{}), (Shape{5, 189}));
  EXPECT_EQ(
      infer(model_of({3, 2, 2}, {{"a", Flatten{}}, {"b", Flatten{}}, {"c", Linear{12, 4}}}), 5).back().output,
      (Shape{5, 4}));
}

TEST(LayerShape, ConvolutionRefusesSettingsThatCannotBe) {
  const Shape image{4, 8, 8};
  const std::string range = ", but must be from 1 to 2147483647";
  const std::string ranges = ", but both must be from 1 to 2147483647";
  expect_refused(image, conv(0, 4, {3, 3}), "in_channels is 0" + range);
  expect_refused(image, conv(4, -1, {3, 3}), "out_channels is -1" + range);
  expect_refused(image, conv(4, kHuge, {3, 3}), "out_channels is 1099511627776" + range);
  expect_refused(image, conv(4, 4, {3, 0}), "kernel_size is [3, 0]" + ranges);

  Conv2d layer = conv(4, 4, {3, 3});
  layer.stride = {0, 1};
  expect_refused(image, layer, "stride is [0, 1]" + ranges);
  layer = conv(4, 4, {3, 3});
  layer.dilation = {1, -1};
  expect_refused(image, layer, "dilation is [1, -1]" + ranges);
  layer = conv(4, 4, {3, 3});
  layer.padding = {-1, 0};
  expect_refused(image, layer, "padding is [-1, 0], but both must be from 0 to 2147483647");
  layer = conv(4, 6, {3, 3});
  layer.groups = 0;
  expect_refused(image, layer, "groups is 0" + range);
  layer.groups = 3;
  expect_refused(image, layer, "groups 3 does not divide in_channels 4; change either");
  layer.groups = 4;
  expect_refused(image, layer, "groups 4 does not divide out_channels 6; change either");
}

TEST(LayerShape, ConvolutionRefusesInputsThatDoNotFit) {
  expect_refused({4, 8, 8}, conv(3, 6, {5, 5}),
                 "weight [6, 3, 5, 5] (groups 1) does not fit the input [5, 4, 8, 8]; set in_channels to 4");
  Conv2d layer = conv(4, 4, {3, 3});
  layer.dilation = {4, 1};
  layer.padding = {0, 1};
  expect_refused(
      {4, 8, 8}, layer,
      "its kernel reaches over [9, 3], more than the input [5, 4, 8, 8] with padding [0, 1]; use a smaller "
      "kernel, more padding, or fewer strides and pools in front");
  EXPECT_THAT(
      [] {
        infer(model_of({1, 8, 8}, {{"flatten", Flatten{}}, {"conv", conv(1, 1, {1, 1})}}), 5);
      },
      ThrowsMessage<UsageError>(
          "layer 'conv' (Conv2d): needs an input [N, C, H, W], but gets [5, 64]; move it in "
          "front of the Flatten"));
}

TEST(LayerShape, AbsurdSizesAreRefusedWithoutOverflow) {
  const std::int64_t large = 2'000'000'000;
  expect_refused(
      {4, 8, 8}, conv(4, large, {large, large}),
      "weight [2000000000, 4, 2000000000, 2000000000] has more than 2147483647 elements; make the layer or "
      "the batch smaller");
  expect_refused(
      {4, 8, 8}, conv(4, large / 4, {1, 1}),
      "the output [5, 500000000, 8, 8] has more than 2147483647 elements; make the layer or the batch "
      "smaller");
  Conv2d layer = conv(1, 1, {2, 2});
  layer.dilation = {large, large};
  layer.padding = {large, large};
  expect_refused(
      {1, 8, 8}, layer,
      "the output [5, 1, 2000000008, 2000000008] has more than 2147483647 elements; make the layer or the "
      "batch smaller");
  expect_refused(
      {1, 8, 8}, MaxPool2d{{large, 2}},
      "its kernel reaches over [2000000000, 2], more than the input [5, 1, 8, 8] with padding [0, 0]; use "
      "a smaller kernel, more padding, or fewer strides and pools in front");
}

TEST(LayerShape, PoolsRefuse) {
  const Shape image{4, 8, 8};
  expect_refused(image, MaxPool2d{{0, 2}}, "kernel_size is [0, 2], but both must be from 1 to 2147483647");
  expect_refused(image, AvgPool2d{{2, 2}, {-1, 0}},
                 "stride is [-1, 0], but both must be from 0 to 2147483647");
  expect_refused(image, MaxPool2d{{2, 2}, {2, 2}, {0, -1}},
                 "padding is [0, -1], but both must be from 0 to 2147483647");
  expect_refused(image, AvgPool2d{{3, 3}, {1, 1}, {2, 0}},
                 "padding [2, 0] is more than half of kernel_size [3, 3]; use less padding");
  expect_refused(
      image, MaxPool2d{{9, 2}},
      "its kernel reaches over [9, 2], more than the input [5, 4, 8, 8] with padding [0, 0]; use a smaller "
      "kernel, more padding, or fewer strides and pools in front");
  for (const Layer& layer :
       {Layer(MaxPool2d{}), Layer(AvgPool2d{}), Layer(GlobalAvgPool2d{}), Layer(BatchNorm2d{64})}) {
    EXPECT_THAT(
        [&] {
          infer(model_of({1, 8, 8}, {{"flatten", Flatten{}}, {"late", layer}}), 5);
        },
        ThrowsMessage<UsageError>("layer 'late' (" + type_name(layer) +
                                  "): needs an input [N, C, H, W], but gets [5, 64]; move it in front of the "
                                  "Flatten"));
  }
}

TEST(LayerShape, BatchNormRefuses) {
  const Shape image{4, 8, 8};
  expect_refused(image, BatchNorm2d{0}, "num_features is 0, but must be from 1 to 2147483647");
  expect_refused(image, BatchNorm2d{3},
                 "weight [3] does not fit the input [5, 4, 8, 8]; set num_features to 4");
  expect_refused(image, BatchNorm2d{4, -0.1}, "eps is -0.1, but must be finite and at least 0");
  expect_refused(image, BatchNorm2d{4, std::nan("")}, "eps is nan, but must be finite and at least 0");
  expect_refused(image, BatchNorm2d{4, HUGE_VAL}, "eps is inf, but must be finite and at least 0");
  expect_refused(image, BatchNorm2d{4, 1e-5, 1.5}, "momentum is 1.5, but must be from 0 to 1");
  expect_refused(image, BatchNorm2d{4, 1e-5, std::nan("")}, "momentum is nan, but must be from 0 to 1");
}

TEST(LayerShape, LinearRefuses) {
  EXPECT_THAT(
      [] {
        infer(model_of({1, 8, 8}, {{"flatten", Flatten{}}, {"fc", Linear{60, 10}}}), 5);
      },
      ThrowsMessage<UsageError>(
          "layer 'fc' (Linear): weight [10, 60] does not fit the input [5, 64]; set in_features to 64"));
  expect_refused({1, 8, 8}, Linear{64, 10},
                 "weight [10, 64] needs an input [N, 64], but gets [5, 1, 8, 8]; put a Flatten in front");
  expect_refused({1, 8, 8}, Linear{0, 10}, "in_features is 0, but must be from 1 to 2147483647");
  expect_refused({1, 8, 8}, Linear{64, 0}, "out_features is 0, but must be from 1 to 2147483647");
  EXPECT_THAT(
      [] {
        infer(model_of({1, 8, 8}, {{"f", Flatten{}}, {"fc", Linear{64, 2'000'000'000}}}), 5);
      },
      ThrowsMessage<UsageError>(HasSubstr("weight [2000000000, 64] has more than 2147483647 elements")));
  EXPECT_THAT(
      [] {
        infer(model_of({1, 1, 1}, {{"f", Flatten{}}, {"fc", Linear{1, 2'000'000'000}}}), 5);
      },
      ThrowsMessage<UsageError>(HasSubstr("the output [5, 2000000000] has more than 2147483647 elements")));
}

TEST(LayerShape, DropoutRefuses) {
  expect_refused({1, 8, 8}, Dropout{1.1}, "p is 1.1, but must be from 0 to 1");
  expect_refused({1, 8, 8}, Dropout{-0.1}, "p is -0.1, but must be from 0 to 1");
  expect_refused({1, 8, 8}, Dropout{std::nan("")}, "p is nan, but must be from 0 to 1");
}

TEST(LayerShape, WithoutANameMessagesBeginWithTheType) {
  EXPECT_EQ(output_shape(MaxPool2d{}, {2, 3, 8, 8}), (Shape{2, 3, 4, 4}));
  EXPECT_THAT(
      [] {
        output_shape(Dropout{1.5}, {2, 3});
      },
      ThrowsMessage<UsageError>("Dropout: p is 1.5, but must be from 0 to 1"));
  EXPECT_THAT(
      [] {
        output_shape(MaxPool2d{}, {2, 3, 0, 8});
      },
      ThrowsMessage<UsageError>(
          "MaxPool2d: needs an input [N, C, H, W] of positive sizes, but gets [2, 3, 0, 8]"));
}

TEST(LayerShape, Weights) {
  EXPECT_EQ(weight_shape(Conv2d{.in_channels = 6, .out_channels = 4, .kernel_size = {3, 2}, .groups = 2}),
            (Shape{4, 3, 3, 2}));
  EXPECT_EQ(weight_shape(Linear{.in_features = 5, .out_features = 7}), (Shape{7, 5}));
}

}  // namespace
}  // namespace convoy
