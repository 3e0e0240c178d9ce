#include <gmock/gmock.h>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

TEST(Summary, OfTheConvNet) {
  EXPECT_EQ(summary(builtin_model("convnet", {1, 28, 28}, 10), 100),
            "layer     type         output             parameters    FLOP a step\n"
            "layer1.0  Conv2d       [100, 16, 28, 28]         416    125,440,000\n"
            "layer1.1  BatchNorm2d  [100, 16, 28, 28]          32              0\n"
            "layer1.2  ReLU         [100, 16, 28, 28]           0              0\n"
            "layer1.3  MaxPool2d    [100, 16, 14, 14]           0              0\n"
            "layer2.0  Conv2d       [100, 32, 14, 14]      12,832  1,505,280,000\n"
            "layer2.1  BatchNorm2d  [100, 32, 14, 14]          64              0\n"
            "layer2.2  ReLU         [100, 32, 14, 14]           0              0\n"
            "layer2.3  MaxPool2d    [100, 32, 7, 7]             0              0\n"
            "flatten   Flatten      [100, 1568]                 0              0\n"
            "fc        Linear       [100, 10]              15,690      9,408,000\n"
            "29,034 parameters, 1.640 GFLOP a training step at batch 100\n");
}

TEST(Summary, ListsTheInsideOfResiduals) {
  const std::string table = summary(builtin_model("resnet9", {3, 32, 32}, 10), 1);
  EXPECT_THAT(table, HasSubstr("\nlayer1.residual.res2.relu  ReLU         [1, 128, 16, 16]           0"));
  EXPECT_THAT(table, HasSubstr("\nlayer1.residual            Residual     [1, 128, 16, 16]           0"));
  EXPECT_THAT(table, HasSubstr("\n6,573,120 parameters, "));
}

TEST(Summary, GroupsDigitsByThree) {
  // Forward and weight gradient: 2 x 2 x batch.
  const Model model = single({1, 1, 1}, Conv2d{.in_channels = 1, .out_channels = 1, .bias = false});
  EXPECT_THAT(summary(model, 1), HasSubstr("            4\n1 parameters, 0.000 GFLOP"));
  EXPECT_THAT(summary(model, 250), HasSubstr("  1,000\n"));
  EXPECT_THAT(summary(model, 249), HasSubstr("  996\n"));
  EXPECT_THAT(summary(model, 250'000'000), EndsWith("1.000 GFLOP a training step at batch 250000000\n"));
}

TEST(Summary, RefusesAModelThatDoesNotFit) {
  EXPECT_THROW(summary(single({1, 2, 2}, Linear{4, 2}), 1), UsageError);
}

}  // namespace
}  // namespace convoy
