// ONNX files that are broken, or made to do harm.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/io/onnx_file.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

using OnnxHostile = OnnxFile;

TEST_F(OnnxHostile, AValueThatNobodyGivesIsRefused) {
  conv_->set_input(0, "z");
  EXPECT_EQ(problem(),
            "node \"conv\" (Conv): no initializer and no node in front of it gives its input \"z\"");
}

TEST_F(OnnxHostile, ACycleIsRefused) {
  conv_->set_input(0, "f");
  EXPECT_EQ(problem(),
            "node \"conv\" (Conv): no initializer and no node in front of it gives its input \"f\"");
}

TEST_F(OnnxHostile, AValueThatIsGivenTwiceIsRefused) {
  flat_->set_output(0, "c");
  EXPECT_EQ(problem(), "node \"flat\" (Flatten): its output \"c\" is given elsewhere, too");
}

TEST_F(OnnxHostile, WrongCountsOfElementsAreRefused) {
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

TEST_F(OnnxHostile, OtherTypesAreRefused) {
  graph().mutable_initializer(1)->set_data_type(TensorProto::INT8);
  EXPECT_EQ(problem(),
            "tensor \"w\": its type is INT8; weights are read as FLOAT, FLOAT16, BFLOAT16 or DOUBLE");
  graph().mutable_initializer(1)->set_data_type(1000);
  EXPECT_THAT(problem(), HasSubstr("its type is 1000"));
}

TEST_F(OnnxHostile, FilesOfOtherFoldersAreNotOpened) {
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

TEST_F(OnnxHostile, ResidualsAreNestedAsDeepAsModelsMay) {
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

TEST_F(OnnxHostile, BranchesAreAsManyAsResidualsMayBeDeep) {
  for (const int count : {8, 9, 4000}) {
    SCOPED_TRACE(count);
    graph().mutable_node()->DeleteSubrange(3, graph().node_size() - 3);
    std::string sum = "c";
    for (int i = 0; i < count; ++i) {
      node("Relu", fmt::format("r{}", i), {"c"}, fmt::format("r{}", i));
      node("Add", "", {fmt::format("r{}", i), sum}, fmt::format("s{}", i));
      sum = fmt::format("s{}", i);
    }
    node("Flatten", "last", {sum}, "z");
    graph().mutable_output(0)->set_name("z");
    if (count == 8) {
      EXPECT_EQ(problem(), "");
    } else {
      EXPECT_THAT(problem(), HasSubstr("residuals are nested more than 8 deep"));
    }
  }
}

TEST_F(OnnxHostile, OneNumberMakesNoBiasOfAMatrixWithoutElements) {
  tensor("empty", {2147483647, 0});
  tensor("b", {});
  fc_->set_input(1, "empty");
  fc_->add_input("b");
  EXPECT_EQ(problem(), "node \"fc\" (Gemm): its input 1 is [2147483647, 0], not a matrix");
}

TEST_F(OnnxHostile, ASmallFileMakesNoLargeNetwork) {
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

TEST_F(OnnxHostile, WeightsThatAreUsedAgainAreFewInAll) {
  tensor("big", {1, 1, 640, 640});
  std::string value = "c";
  for (int i = 0; i < 60; ++i) {
    NodeProto& conv = node("Conv", "", {value, "big"}, fmt::format("c{}", i));
    integers(conv, "pads", {320, 320, 320, 320});
    value = conv.output(0);
  }
  node("Flatten", "last", {value}, "z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_THAT(problem(),
              HasSubstr("with its input \"big\", weights that are used again have more than 16777216"));
}

TEST_F(OnnxHostile, BytesBesideTheFileAreNotReadOverAndOver) {
  constexpr std::int64_t kSide = 2048;  // 16 MB
  write_file(folder_ / "w", "");
  std::filesystem::resize_file(folder_ / "w", kSide * kSide * 4);
  fc_->set_input(1, "w0");
  for (int i = 0; i < 7; ++i) {
    const std::string name = fmt::format("w{}", i);
    TensorProto& weight = *graph().add_initializer();
    weight.set_name(name);
    weight.set_data_type(TensorProto::FLOAT);
    weight.add_dims(kSide);
    weight.add_dims(i == 0 ? 4 : kSide);
    weight.set_data_location(TensorProto::EXTERNAL);
    auto& location = *weight.add_external_data();
    location.set_key("location");
    location.set_value("w");
    if (i == 0) continue;
    const std::string input = i == 1 ? "y" : fmt::format("y{}", i - 1);
    integer(node("Gemm", name, {input, name}, fmt::format("y{}", i)), "transB", 1);
  }
  graph().mutable_output(0)->set_name("y6");
  EXPECT_THAT(problem(), HasSubstr("bytes of \"w\", far more than it has"));
}

// A first output without a name could be what the node itself takes.
TEST_F(OnnxHostile, NodesWithoutANameForWhatTheyGiveAreRefused) {
  NodeProto& first = node("Dropout", "first", {"y"}, "");
  first.add_output("b");
  NodeProto& again = node("Dropout", "again", {"", "", "b"}, "");
  again.add_output("z");
  graph().mutable_output(0)->set_name("z");
  EXPECT_EQ(problem(), "node \"first\" (Dropout): its first output has no name");
}

TEST_F(OnnxHostile, WeightsOfWholeNumbersAreRefused) {
  TensorProto& weight = *graph().mutable_initializer(1);
  weight.clear_float_data();
  weight.set_data_type(TensorProto::INT64);
  for (int i = 0; i < 8; ++i) weight.add_int64_data(1);
  EXPECT_EQ(problem(), "node \"fc\" (Gemm): its input \"w\" is of whole numbers");
}

TEST_F(OnnxHostile, NoByteOfAFileMakesItCrash) {
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

TEST_F(OnnxHostile, OtherFilesAreRefused) {
  write_file(folder_ / "m.onnx", "PK\x03\x04 a checkpoint");
  EXPECT_THAT(error_of([&] { load_onnx(folder_ / "m.onnx"); }),
              HasSubstr("it is not an ONNX file, or is cut off"));
  EXPECT_THAT(error_of([&] { load_onnx(folder_ / "none.onnx"); }), HasSubstr("none.onnx"));
  EXPECT_THAT(error_of([&] { load_onnx(folder_.path()); }), HasSubstr("it is a folder"));
}

}  // namespace
}  // namespace convoy::test
