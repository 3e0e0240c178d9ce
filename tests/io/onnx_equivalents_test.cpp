// Nodes that load_onnx reads as another layer that computes the same, and biases in each shape that ONNX has
// them.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "tests/io/onnx_file.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using OnnxEquivalents = OnnxFile;

TEST_F(OnnxEquivalents, UnevenPaddingMakesAKernelWithZerosAtAnEnd) {
  tensor("k3", {1, 1, 3, 3});
  conv_->set_input(1, "k3");
  text(*conv_, "auto_pad", "SAME_UPPER");
  integers(*conv_, "strides", {2, 2});  // of 2 pixels and 3 taps, one more is needed, at one end
  tensor("w1", {2, 1});
  fc_->set_input(1, "w1");
  const double h = 0.5;
  for (const auto& [how, weights] : std::map<std::string, std::vector<double>>{
           {"SAME_UPPER", {0, 0, 0, 0, 0, h, h, h, 0, h, h, h, 0, h, h, h}},
           {"SAME_LOWER", {h, h, h, 0, h, h, h, 0, h, h, h, 0, 0, 0, 0, 0}}}) {
    SCOPED_TRACE(how);
    conv_->mutable_attribute(0)->set_s(how);
    ASSERT_EQ(problem(), "");
    const OnnxModel read = load_onnx(folder_ / "m.onnx");
    EXPECT_EQ(std::get<Conv2d>(read.model.layers[0].layer).padding, (Extent{1, 1}));
    EXPECT_EQ(std::get<Conv2d>(read.model.layers[0].layer).kernel_size, (Extent{4, 4}));
    EXPECT_EQ(read.state[0].second.values, weights);
    EXPECT_THAT(read.notes, ElementsAre(HasSubstr("node \"conv\" (Conv): it pads by [")));
    EXPECT_THAT(read.notes[0], HasSubstr("its kernel is 4 x 4 here, with zeros at an end"));
  }
}

TEST_F(OnnxEquivalents, ABiasMayBeOneNumber) {
  fc_->add_input("b");
  real(*fc_, "beta", 3.0f);
  tensor("b", {});
  using Sizes = std::vector<std::int64_t>;
  const auto set_sizes = [&](const Sizes& sizes, int count) {
    TensorProto& bias = *graph().mutable_initializer(2);
    bias.clear_dims();
    bias.clear_float_data();
    for (const std::int64_t size : sizes) bias.add_dims(size);
    for (int i = 0; i < count; ++i) bias.add_float_data(0.25f);
  };
  const auto bias_read = [&] { return find(load_onnx(folder_ / "m.onnx").state, "fc.bias")->values; };
  for (const Sizes& sizes : {Sizes{}, Sizes{1}, Sizes{1, 1}, Sizes{2}, Sizes{1, 2}}) {
    SCOPED_TRACE(testing::PrintToString(sizes));
    set_sizes(sizes, sizes.empty() || sizes.back() == 1 ? 1 : 2);
    ASSERT_EQ(problem(), "");
    EXPECT_EQ(bias_read(), std::vector<double>(2, 0.75));
  }
  set_sizes({2, 1}, 2);
  EXPECT_EQ(
      problem(),
      "node \"fc\" (Gemm): its input 2 is [2, 1]; a bias of one number, or one for each of 2 outputs, can be "
      "read");
  fc_->mutable_input()->RemoveLast();
  fc_->set_output(0, "m");
  node("Add", "add", {"b", "m"}, "y");
  for (const Sizes& sizes : {Sizes{}, Sizes{1}, Sizes{1, 1}, Sizes{2}, Sizes{1, 2}}) {
    SCOPED_TRACE(testing::PrintToString(sizes));
    set_sizes(sizes, sizes.empty() || sizes.back() == 1 ? 1 : 2);
    ASSERT_EQ(problem(), "");
    EXPECT_EQ(bias_read(), std::vector<double>(2, 0.25));
  }
  set_sizes({1, 1, 1}, 1);
  EXPECT_EQ(problem(),
            "node \"add\" (Add): it adds a constant [1, 1, 1] to [1, 2]; one number, or one for each of 2 "
            "channels, can be read");
}

TEST_F(OnnxEquivalents, OneNumberBehindAConvIsABiasOfEachChannel) {
  tensor("half", {});
  node("Add", "add", {"c", "half"}, "cb");
  flat_->set_input(0, "cb");
  graph().mutable_node()->SwapElements(2, 3);
  graph().mutable_node()->SwapElements(1, 2);
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(find(load_onnx(folder_ / "m.onnx").state, "conv.bias")->values, std::vector<double>{0.5});
}

TEST_F(OnnxEquivalents, ABiasOfAnotherCountNamesTheNode) {
  tensor("b", {3});
  conv_->add_input("b");
  EXPECT_EQ(problem(), "node \"conv\" (Conv): its input 2 is [3], not one number for each of 1 channels");
}

TEST_F(OnnxEquivalents, ABatchNormOfVectorsIsAPartOfTheGemmInFrontOfIt) {
  for (const char* name : {"s", "b", "m", "v"}) tensor(name, {2});
  graph().mutable_initializer(5)->set_float_data(0, 3.75f);  // the variance of the first
  fc_->set_output(0, "g");
  real(node("BatchNormalization", "bn", {"g", "s", "b", "m", "v"}, "y"), "epsilon", 0.25f);
  ASSERT_EQ(problem(), "");
  const OnnxModel read = load_onnx(folder_ / "m.onnx");
  EXPECT_EQ(read.model.layers.size(), 3u);
  // s / sqrt(v + eps) is 0.5 / 2 and 0.5 / sqrt(0.75).
  const double second = static_cast<float>(0.5 * (0.5 / std::sqrt(0.75)));
  EXPECT_EQ(find(read.state, "fc.weight")->values,
            (std::vector<double>{0.125, 0.125, 0.125, 0.125, second, second, second, second}));
  EXPECT_EQ(find(read.state, "fc.bias")->values,
            (std::vector<double>{0.5 - 0.5 * 0.25, static_cast<float>(0.5 - 0.5 * (0.5 / std::sqrt(0.75)))}));
  EXPECT_THAT(
      read.notes,
      ElementsAre("node \"bn\" (BatchNormalization): it normalises vectors, for which Convoy has no layer; "
                  "so it is a part of the layer fc in front of it, as it is in evaluation, and training "
                  "on does not normalise there"));
  graph().mutable_initializer(5)->set_float_data(0, -1.0f);
  EXPECT_EQ(problem(),
            "node \"bn\" (BatchNormalization): its values make weights that are not finite of those of the "
            "layer in front of it");
  node("Relu", "relu", {"g"}, "r");
  graph().mutable_node(3)->set_input(0, "r");
  graph().mutable_node()->SwapElements(3, 4);
  EXPECT_THAT(problem(),
              HasSubstr("node \"bn\" (BatchNormalization): it normalises vectors, for which Convoy "
                        "has no layer; directly behind a Gemm or MatMul it is read"));
}

TEST_F(OnnxEquivalents, ProbabilitiesAtTheEndAreLeftOut) {
  for (const char* type : {"Softmax", "LogSoftmax"}) {
    SCOPED_TRACE(type);
    graph().mutable_output(0)->set_name("p");
    integer(node(type, "prob", {"y"}, "p"), "axis", -1);
    ASSERT_EQ(problem(), "");
    const OnnxModel read = load_onnx(folder_ / "m.onnx");
    EXPECT_EQ(read.model.layers.size(), 3u);
    EXPECT_THAT(read.notes, ElementsAre(fmt::format(
                                "node \"prob\" ({}): it is left out, so the logits in front of it are the "
                                "output; the loss and predict compute it themselves",
                                type)));
    graph().mutable_node(3)->mutable_attribute(0)->set_i(0);
    EXPECT_EQ(problem(),
              fmt::format("node \"prob\" ({}): its attribute axis is 0; only 1, that of the classes, "
                          "can be read",
                          type));
    graph().mutable_node(3)->mutable_attribute(0)->set_i(1);
    node("Identity", "same", {"p"}, "q");
    graph().mutable_output(0)->set_name("q");
    EXPECT_EQ(problem(), "");
    graph().mutable_node(4)->set_op_type("Relu");
    EXPECT_EQ(problem(),
              fmt::format("node \"prob\" ({}): it is not the last node; only behind the logits can it "
                          "be left out",
                          type));
    graph().mutable_node()->DeleteSubrange(3, 2);
  }
}

}  // namespace
}  // namespace convoy::test
