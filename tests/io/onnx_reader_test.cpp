// Which networks load_onnx reads and refuses, and how it says so.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

#include "tests/io/onnx_file.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

using OnnxReader = OnnxFile;

TEST_F(OnnxReader, ReadsTheNetworkThatTheOthersAreMadeOf) {
  ASSERT_EQ(problem(), "");
  const OnnxModel read = load_onnx(folder_ / "m.onnx");
  EXPECT_EQ(read.model.input, (Shape{1, 2, 2}));
  ASSERT_EQ(read.model.layers.size(), 3u);
  EXPECT_EQ(find(read.state, "fc.weight")->values, std::vector<double>(8, 0.5));
}

TEST_F(OnnxReader, NamesAnOperatorThatIsNotRead) {
  between("Sigmoid");
  EXPECT_THAT(problem(),
              HasSubstr("node \"new\" (Sigmoid): this operator cannot be read; those that can are Conv,"));
}

TEST_F(OnnxReader, NamesAnOperatorOfAnotherDomain) {
  between("Relu").set_domain("com.example");
  EXPECT_THAT(problem(), HasSubstr("node \"new\" (Relu): this operator of \"com.example\" cannot be read"));
}

TEST_F(OnnxReader, NamesAnAttributeThatIsNotRead) {
  integer(*conv_, "stretch", 1);
  EXPECT_EQ(problem(), "node \"conv\" (Conv): its attribute \"stretch\" is not known");
}

TEST_F(OnnxReader, NamesAttributesWithOtherValues) {
  integers(*conv_, "pads", {0, 0, 1, 1});
  EXPECT_EQ(
      problem(),
      "node \"conv\" (Conv): it pads by [0, 0] in front and [1, 1] behind; the ends of an axis may differ "
      "by one element of a kernel of two or more");
  conv_->clear_attribute();
  integers(*conv_, "strides", {1, 1, 1});
  EXPECT_THAT(problem(), HasSubstr("its attribute strides is [1, 1, 1]; two numbers"));
  conv_->clear_attribute();
  integers(*conv_, "dilations", {-1, 1});
  EXPECT_THAT(problem(), HasSubstr("its attribute dilations is [-1, 1]"));
  conv_->clear_attribute();
  integer(*conv_, "pads", 1);
  EXPECT_EQ(problem(), "node \"conv\" (Conv): its attribute pads has another type than ONNX gives it");
  conv_->clear_attribute();
  integer(*fc_, "transA", 1);
  EXPECT_EQ(problem(), "node \"fc\" (Gemm): its attribute transA is 1; only 0 can be read");
  fc_->mutable_attribute(1)->set_name("transC");
  EXPECT_EQ(problem(), "node \"fc\" (Gemm): its attribute \"transC\" is not known");
}

TEST_F(OnnxReader, WeightsOfEveryTypeAreReadFromBytesAndFromLists) {
  const float half = 0.5f;
  const double half_double = 0.5;
  const auto bytes_of = [](const auto& number) {
    return std::string(reinterpret_cast<const char*>(&number), sizeof number);
  };
  const std::map<int, std::string> elements = {{TensorProto::FLOAT, bytes_of(half)},
                                               {TensorProto::DOUBLE, bytes_of(half_double)},
                                               {TensorProto::FLOAT16, std::string("\x00\x38", 2)},
                                               {TensorProto::BFLOAT16, std::string("\x00\x3f", 2)}};
  for (const auto& [type, element] : elements) {
    for (const bool raw : {true, false}) {
      SCOPED_TRACE(fmt::format("type {}, raw {}", type, raw));
      TensorProto& weight = *graph().mutable_initializer(1);
      weight.clear_float_data();
      weight.clear_raw_data();
      weight.clear_int32_data();
      weight.clear_double_data();
      weight.set_data_type(type);
      for (int i = 0; i < 8; ++i) {
        if (raw) weight.mutable_raw_data()->append(element);
        if (!raw && type == TensorProto::FLOAT) weight.add_float_data(half);
        if (!raw && type == TensorProto::DOUBLE) weight.add_double_data(half_double);
        if (!raw && type == TensorProto::FLOAT16) weight.add_int32_data(0x3800);
        if (!raw && type == TensorProto::BFLOAT16) weight.add_int32_data(0x3f00);
      }
      ASSERT_EQ(problem(), "");
      const StateDict state = load_onnx(folder_ / "m.onnx").state;
      EXPECT_EQ(find(state, "fc.weight")->values, std::vector<double>(8, 0.5));
    }
  }
}

TEST_F(OnnxReader, PaddingByNameIsRead) {
  tensor("k3", {1, 1, 3, 3});
  conv_->set_input(1, "k3");
  text(*conv_, "auto_pad", "SAME_UPPER");
  ASSERT_EQ(problem(), "");
  const Model model = load_onnx(folder_ / "m.onnx").model;
  EXPECT_EQ(std::get<Conv2d>(model.layers[0].layer).padding, (Extent{1, 1}));
  EXPECT_THAT(load_onnx(folder_ / "m.onnx").notes, IsEmpty());
  conv_->mutable_attribute(0)->set_s("SAME");
  EXPECT_EQ(problem(), "node \"conv\" (Conv): its attribute auto_pad is \"SAME\", which ONNX does not have");
}

TEST_F(OnnxReader, PoolsOfOtherKindsAreRefused) {
  NodeProto& pool = between("AveragePool");
  EXPECT_EQ(problem(), "node \"new\" (AveragePool): it has no kernel_shape");
  integers(pool, "kernel_shape", {1, 1});
  ASSERT_EQ(problem(), "");
  integer(pool, "ceil_mode", 1);
  ASSERT_EQ(problem(), "") << "it changes nothing";
  integers(pool, "strides", {2, 2});
  EXPECT_EQ(
      problem(),
      "node \"new\" (AveragePool): its attribute ceil_mode is 1, which changes what it makes of [1, 1, 2, "
      "2]; only 0 can be read: make the pool without it and train the model so, or export it for images "
      "of another size");
  pool.mutable_attribute(1)->set_i(0);
  integers(pool, "dilations", {2, 2});
  EXPECT_EQ(problem(),
            "node \"new\" (AveragePool): its attribute dilations is not 1; such pools cannot be read");
  pool.mutable_attribute(0)->set_ints(0, 2);
  pool.mutable_attribute()->RemoveLast();
  text(pool, "auto_pad", "SAME_UPPER");
  pool.mutable_attribute(2)->set_ints(0, 1);
  EXPECT_EQ(
      problem(),
      "node \"new\" (AveragePool): it pads [1, 1, 2, 2] by [0, 0] in front and [1, 0] behind, and a pool can "
      "be read with the same at both ends alone: make the pool so and train the model so, or export it "
      "for images of another size");
}

TEST_F(OnnxReader, FactorsOfAGemmAreInItsWeights) {
  tensor("b", {2});
  fc_->add_input("b");
  real(*fc_, "alpha", 0.1f);
  real(*fc_, "beta", -3.0f);
  ASSERT_EQ(problem(), "");
  const StateDict state = load_onnx(folder_ / "m.onnx").state;
  EXPECT_EQ(find(state, "fc.weight")->values, std::vector<double>(8, 0.5f * 0.1f));
  EXPECT_EQ(find(state, "fc.bias")->values, std::vector<double>(2, -1.5));
}

TEST_F(OnnxReader, AMeanThatDropsThePlaneIsAPoolAndAFlatten) {
  flat_->set_op_type("ReduceMean");
  integers(*flat_, "axes", {-1, -2});
  integer(*flat_, "keepdims", 0);
  tensor("w1", {2, 1});
  fc_->set_input(1, "w1");
  ASSERT_EQ(problem(), "");
  const Model model = load_onnx(folder_ / "m.onnx").model;
  ASSERT_EQ(model.layers.size(), 4u);
  EXPECT_EQ(type_name(model.layers[1].layer), "GlobalAvgPool2d");
  EXPECT_EQ(type_name(model.layers[2].layer), "Flatten");
  flat_->mutable_attribute(0)->set_ints(0, 1);
  EXPECT_EQ(problem(),
            "node \"flat\" (ReduceMean): it is over the axes [1, 2]; a mean over [2, 3] can be read");
}

TEST_F(OnnxReader, ASqueezeBehindAPoolIsAFlatten) {
  TensorProto& axes = tensor("axes", {});
  axes.set_data_type(TensorProto::INT64);
  axes.clear_float_data();
  axes.add_dims(2);
  for (const std::int64_t axis : {2, 3}) axes.add_int64_data(axis);
  flat_->set_op_type("Squeeze");
  flat_->add_input("axes");
  EXPECT_EQ(problem(),
            "node \"flat\" (Squeeze): it takes the axes [2, 3] from [1, 1, 2, 2]; [2, 3] can be taken where "
            "they are 1");
  between("GlobalAveragePool");
  tensor("w1", {2, 1});
  fc_->set_input(1, "w1");
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(type_name(load_onnx(folder_ / "m.onnx").model.layers[2].layer), "Flatten");
}

TEST_F(OnnxReader, NamesThatWouldMeetWithinAResidualAreMadeOthers) {
  tensor("block.relu.weight", {1, 1, 1, 1});
  node("Conv", "", {"c", "block.relu.weight"}, "a");
  node("Relu", "relu", {"a"}, "b");
  node("Add", "add", {"b", "c"}, "s");
  node("Flatten", "last", {"s"}, "z");
  graph().mutable_output(0)->set_name("z");
  ASSERT_EQ(problem(), "");
  const Model model = load_onnx(folder_ / "m.onnx").model;
  const auto& residual = std::get<Residual>(model.layers.at(1).layer);
  EXPECT_EQ(residual.body[0].name, "relu");
  EXPECT_EQ(residual.body[1].name, "relu1");
}

TEST_F(OnnxReader, ABatchNormInTrainingIsRefused) {
  for (const char* name : {"s", "b", "m", "v"}) tensor(name, {1});
  integer(between("BatchNormalization", {"s", "b", "m", "v"}), "training_mode", 1);
  EXPECT_EQ(problem(),
            "node \"new\" (BatchNormalization): its attribute training_mode is 1; only 0 can be read");
}

TEST_F(OnnxReader, AReshapeThatDoesNotFlattenIsRefused) {
  TensorProto& shape = tensor("shape", {});
  shape.set_data_type(TensorProto::INT64);
  shape.clear_float_data();
  shape.add_dims(4);
  for (const std::int64_t size : {0, 2, 2, 1}) shape.add_int64_data(size);
  between("Reshape", {"shape"});
  EXPECT_EQ(problem(),
            "node \"new\" (Reshape): it makes [0, 2, 2, 1] of [1, 1, 2, 2]; a Reshape that flattens, to [N, "
            "4], can be read");
}

TEST_F(OnnxReader, BranchesWithoutAnAddAreRefused) {
  between("Relu");
  NodeProto& join = node("Concat", "join", {"y", "y2"}, "z");
  integer(join, "axis", 1);
  NodeProto& second = node("Gemm", "fc2", {"f", "w"}, "y2");
  integer(second, "transB", 1);
  graph().mutable_node()->SwapElements(4, 5);
  graph().mutable_output(0)->set_name("z");
  EXPECT_THAT(problem(), HasSubstr("(Concat): this operator cannot be read"));
}

TEST_F(OnnxReader, ThreeBranchesAreAResidualInAnother) {
  node("Relu", "a", {"c"}, "a");
  node("Dropout", "b", {"c"}, "b");
  node("Add", "ab", {"c", "b"}, "cb");
  node("GlobalAveragePool", "pool", {"cb"}, "p");
  node("Add", "abc", {"a", "p"}, "abc");
  node("Flatten", "last", {"abc"}, "z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_EQ(
      problem(),
      "node \"abc\" (Add): it adds [1, 1, 2, 2] to [1, 1, 1, 1]; only two of the same shape can be read");
  graph().mutable_node(6)->set_op_type("Relu");
  ASSERT_EQ(problem(), "");
  const Model model = load_onnx(folder_ / "m.onnx").model;
  ASSERT_EQ(model.layers.size(), 3u);
  const auto& outer = std::get<Residual>(model.layers[1].layer);
  ASSERT_EQ(outer.body.size(), 1u);
  EXPECT_EQ(outer.body[0].name, "a");
  ASSERT_EQ(outer.shortcut.size(), 2u);
  EXPECT_EQ(outer.shortcut[1].name, "pool");
  const auto& inner = std::get<Residual>(outer.shortcut[0].layer);
  ASSERT_EQ(inner.body.size(), 1u);
  EXPECT_EQ(inner.body[0].name, "b");
  EXPECT_THAT(inner.shortcut, IsEmpty());
  graph().mutable_node(7)->set_input(1, "c");
  graph().mutable_node(7)->set_input(0, "c");
  EXPECT_EQ(problem(), "node \"abc\" (Add): it adds a value to itself");
}

TEST_F(OnnxReader, BranchesThatMeetElsewhereAreRefused) {
  node("Relu", "a", {"c"}, "a");
  node("Relu", "b", {"a"}, "b");
  node("Relu", "d", {"a"}, "d");
  node("Add", "cb", {"c", "b"}, "cb");
  node("Add", "all", {"cb", "d"}, "all");
  node("Flatten", "last", {"all"}, "z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_EQ(problem(),
            "node \"d\" (Relu): \"a\" is taken by 2 nodes, but Adds of two do not end their branches");
}

TEST_F(OnnxReader, WeightsThatAreComputedAreRefused) {
  node("Relu", "positive", {"k"}, "k2");
  graph().mutable_node()->SwapElements(2, 3);
  graph().mutable_node()->SwapElements(1, 2);
  graph().mutable_node()->SwapElements(0, 1);
  graph().mutable_node(1)->set_input(1, "k2");
  EXPECT_EQ(problem(),
            "node \"conv\" (Conv): its input \"k2\" is computed, but only a constant can be read there");
}

TEST_F(OnnxReader, ImagesOfAnySizeAreRefused) {
  graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->set_dim_param("H");
  EXPECT_EQ(
      problem(),
      "its input \"x\" does not fix channels, height and width; export the model for images of one size");
}

TEST_F(OnnxReader, AnOldOpsetIsRefused) {
  message_.mutable_opset_import(0)->set_version(6);
  EXPECT_THAT(problem(), HasSubstr("it has opset 6; 7 and newer are read"));
  message_.clear_opset_import();
  EXPECT_EQ(problem(), "it does not say of which opset its operators are");
}

TEST_F(OnnxReader, WeightsThatDoNotFitNameTheLayer) {
  graph().mutable_initializer(1)->set_dims(0, 4);
  graph().mutable_initializer(1)->set_dims(1, 2);
  EXPECT_THAT(problem(), HasSubstr("layer 'fc' (Linear)"));
}

}  // namespace
}  // namespace convoy::test
