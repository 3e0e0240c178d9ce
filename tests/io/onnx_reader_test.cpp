// What load_onnx refuses, and how it says so.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <onnx/onnx_pb.h>

#include "convoy/onnx.h"
#include "tests/io/onnx_models.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using ::onnx::AttributeProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;
using testing::HasSubstr;

/// Conv "conv" with a weight "k" [1, 1, 1, 1], Flatten "flat", Gemm "fc" with a weight "w" [2, 4]; x is [N,
/// 1, 2, 2].
class OnnxReader : public testing::Test {
 protected:
  OnnxReader() {
    message_.set_ir_version(8);
    message_.add_opset_import()->set_version(17);
    auto& input = *graph().add_input();
    input.set_name("x");
    auto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
    shape.add_dim()->set_dim_param("N");
    for (const std::int64_t size : {1, 2, 2}) shape.add_dim()->set_dim_value(size);
    graph().add_output()->set_name("y");
    tensor("k", {1, 1, 1, 1});
    tensor("w", {2, 4});
    conv_ = &node("Conv", "conv", {"x", "k"}, "c");
    flat_ = &node("Flatten", "flat", {"c"}, "f");
    fc_ = &node("Gemm", "fc", {"f", "w"}, "y");
    integer(*fc_, "transB", 1);
  }

  ::onnx::GraphProto& graph() { return *message_.mutable_graph(); }

  NodeProto& node(const std::string& type, const std::string& name, const std::vector<std::string>& inputs,
                  const std::string& output) {
    NodeProto& node = *graph().add_node();
    node.set_op_type(type);
    node.set_name(name);
    for (const auto& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }

  /// Puts a node between conv and flat.
  NodeProto& between(const std::string& type, const std::vector<std::string>& more = {}) {
    std::vector<std::string> inputs = {"c"};
    inputs.insert(inputs.end(), more.begin(), more.end());
    NodeProto& added = node(type, "new", inputs, "n");
    flat_->set_input(0, "n");
    graph().mutable_node()->SwapElements(2, 3);
    graph().mutable_node()->SwapElements(1, 2);
    return added;
  }

  TensorProto& tensor(const std::string& name, const std::vector<std::int64_t>& dims) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(TensorProto::FLOAT);
    std::int64_t count = 1;
    for (const std::int64_t size : dims) {
      tensor.add_dims(size);
      count *= size;
    }
    for (std::int64_t i = 0; i < count; ++i) tensor.add_float_data(0.5f);
    return tensor;
  }

  static void integer(NodeProto& node, const std::string& name, std::int64_t value) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::INT);
    attribute.set_i(value);
  }

  static void integers(NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::INTS);
    for (const std::int64_t value : values) attribute.add_ints(value);
  }

  std::string problem() {
    write_file(folder_ / "m.onnx", message_.SerializeAsString());
    const std::string message = error_of([&] { load_onnx(folder_ / "m.onnx"); });
    const std::string start = "cannot import " + (folder_ / "m.onnx").string() + ": ";
    EXPECT_TRUE(message.empty() || message.starts_with(start)) << message;
    return message.empty() ? "" : message.substr(start.size());
  }

  TemporaryFolder folder_;
  ModelProto message_;
  NodeProto *conv_ = nullptr, *flat_ = nullptr, *fc_ = nullptr;
};

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
  EXPECT_EQ(problem(),
            "node \"conv\" (Conv): its attribute pads is [0, 0, 1, 1]; only the same at both ends of an axis "
            "can be read");
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

TEST_F(OnnxReader, AValueThatNobodyGivesIsRefused) {
  conv_->set_input(0, "z");
  EXPECT_EQ(problem(),
            "node \"conv\" (Conv): no initializer and no node in front of it gives its input \"z\"");
}

TEST_F(OnnxReader, ACycleIsRefused) {
  conv_->set_input(0, "f");
  EXPECT_EQ(problem(),
            "node \"conv\" (Conv): no initializer and no node in front of it gives its input \"f\"");
}

TEST_F(OnnxReader, AValueThatIsGivenTwiceIsRefused) {
  flat_->set_output(0, "c");
  EXPECT_EQ(problem(), "node \"flat\" (Flatten): its output \"c\" is given elsewhere, too");
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

TEST_F(OnnxReader, ThreeConsumersAreRefused) {
  node("Relu", "a", {"c"}, "a");
  node("Relu", "b", {"c"}, "b");
  node("Add", "ab", {"a", "b"}, "ab");
  node("Add", "abc", {"ab", "c"}, "abc");
  node("Flatten", "last", {"abc"}, "z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_THAT(problem(), HasSubstr("it is one of 3 nodes that take \"c\""));
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

TEST_F(OnnxReader, WrongCountsOfElementsAreRefused) {
  TensorProto& weight = *graph().mutable_initializer(1);
  weight.add_float_data(1);
  EXPECT_EQ(problem(), "tensor \"w\": it has 36 bytes of elements, but its dimensions [2, 4] take 32");
  weight.set_raw_data("abc");
  EXPECT_EQ(problem(), "tensor \"w\": it has 3 bytes of elements, but its dimensions [2, 4] take 32");
  weight.set_dims(0, std::int64_t{1} << 62);
  EXPECT_EQ(problem(), "tensor \"w\": its dimensions [4611686018427387904, 4] cannot be");
  weight.set_dims(0, -1);
  EXPECT_EQ(problem(), "tensor \"w\": its dimensions [-1, 4] cannot be");
}

TEST_F(OnnxReader, OtherTypesAreRefused) {
  graph().mutable_initializer(1)->set_data_type(TensorProto::INT8);
  EXPECT_EQ(problem(),
            "tensor \"w\": its type is INT8; weights are read as FLOAT, FLOAT16, BFLOAT16 or DOUBLE");
  graph().mutable_initializer(1)->set_data_type(1000);
  EXPECT_THAT(problem(), HasSubstr("its type is 1000"));
}

TEST_F(OnnxReader, FilesOfOtherFoldersAreNotOpened) {
  TensorProto& weight = *graph().mutable_initializer(1);
  weight.clear_float_data();
  weight.set_data_location(TensorProto::EXTERNAL);
  auto& location = *weight.add_external_data();
  location.set_key("location");
  for (const char* path : {"/etc/passwd", "../w", "a/b", "..", ""}) {
    location.set_value(path);
    EXPECT_THAT(problem(), HasSubstr("only a file in the folder of the ONNX file is read")) << path;
  }
  location.set_value("w");
  write_file(folder_ / "w", std::string(40, '\0'));
  EXPECT_EQ(problem(), "");
  auto& offset = *weight.add_external_data();
  offset.set_key("offset");
  offset.set_value("9");
  EXPECT_THAT(problem(), HasSubstr("\"w\" has not 32 bytes from byte 9 on"));
  offset.set_value("18446744073709551615");
  EXPECT_THAT(problem(), HasSubstr("\"w\" has not 32 bytes from byte"));
  offset.set_value("-8");
  EXPECT_THAT(problem(), HasSubstr("\"-8\" is not a place in a file"));
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

TEST_F(OnnxReader, ResidualsAreNestedAsDeepAsModelsMay) {
  // Each node adds to what is in front what is behind it.
  std::string value = "c";
  constexpr int kDepth = 12;
  for (int i = 0; i < kDepth; ++i) {
    const std::string next = fmt::format("r{}", i);
    node("Relu", next, {value}, next);
    value = next;
  }
  for (int i = kDepth; i-- > 0;) {
    const std::string sum = fmt::format("s{}", i);
    node("Add", sum, {value, i == 0 ? "c" : fmt::format("r{}", i - 1)}, sum);
    value = sum;
  }
  node("Flatten", "last", {value}, "z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_THAT(problem(), HasSubstr("residuals are nested more than 8 deep"));
}

TEST_F(OnnxReader, ASmallFileMakesNoLargeNetwork) {
  tensor("big", {1, 1, 9, 9});
  std::string value = "c";
  for (int i = 0; i < 100; ++i) {
    NodeProto& conv = node("Conv", "", {value, "big"}, fmt::format("c{}", i));
    integers(conv, "pads", {4, 4, 4, 4});
    value = conv.output(0);
  }
  node("Flatten", "last", {value}, "z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_THAT(problem(), HasSubstr("its input \"big\" is used more than 64 times"));
}

TEST_F(OnnxReader, NoByteOfAFileMakesItCrash) {
  const std::string whole = message_.SerializeAsString();
  int read = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      write_file(folder_ / "m.onnx", bytes);
      read += error_of([&] { load_onnx(folder_ / "m.onnx"); }).empty() ? 1 : 0;
    }
    write_file(folder_ / "m.onnx", whole.substr(0, i));
    EXPECT_NE(error_of([&] { load_onnx(folder_ / "m.onnx"); }), "") << i << " bytes are a network";
  }
  EXPECT_GT(read, 0) << "some bytes are those of weights and names";
}

TEST_F(OnnxReader, OtherFilesAreRefused) {
  write_file(folder_ / "m.onnx", "PK\x03\x04 a checkpoint");
  EXPECT_THAT(error_of([&] { load_onnx(folder_ / "m.onnx"); }),
              HasSubstr("it is not an ONNX file, or is cut off"));
  EXPECT_THAT(error_of([&] { load_onnx(folder_ / "none.onnx"); }), HasSubstr("none.onnx"));
  EXPECT_THAT(error_of([&] { load_onnx(folder_.path()); }), HasSubstr("it is a folder"));
}

}  // namespace
}  // namespace convoy::test
