// What onnx_contents_of tells of files, also of those that are broken or hold what is not read.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "engine/io/onnx/contents.h"
#include "tests/io/onnx_file.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

class OnnxContents : public OnnxFile {
 protected:
  FileContents contents() {
    write_file(folder_ / "m.onnx", message_.SerializeAsString());
    return onnx_contents_of(folder_ / "m.onnx");
  }

  static std::string value_of(const FileContents& contents, const std::string& place) {
    for (const auto& [here, words] : contents.values) {
      if (here == place) return words;
    }
    return "";
  }
};

TEST_F(OnnxContents, TellOfAFileAndItsTensors) {
  message_.set_producer_name("a\x1b[31m");
  message_.set_producer_version("1");
  auto& domain = *message_.add_opset_import();
  domain.set_domain("com.example");
  domain.set_version(2);
  auto& entry = *message_.add_metadata_props();
  entry.set_key("classes");
  entry.set_value("[]");
  NodeProto& constant = node("Constant", "", {}, "half");
  AttributeProto& value = *constant.add_attribute();
  value.set_name("value");
  value.set_type(AttributeProto::TENSOR);
  value.mutable_t()->set_data_type(TensorProto::FLOAT16);
  value.mutable_t()->add_dims(2);
  value.mutable_t()->add_int32_data(0x3c00);  // 1
  value.mutable_t()->add_int32_data(0x7e00);  // NaN
  graph().add_input()->set_name("w");         // as old files list initializers

  const FileContents told = contents();
  EXPECT_EQ(told.kind, "an ONNX model");
  EXPECT_EQ(value_of(told, "made by"), "a?[31m 1");
  EXPECT_EQ(value_of(told, "opset"), "17, \"com.example\" 2");
  EXPECT_EQ(value_of(told, "IR version"), "8");
  EXPECT_EQ(value_of(told, "nodes"), "4: 1 Constant, 1 Conv, 1 Flatten, 1 Gemm");
  EXPECT_EQ(value_of(told, "input \"x\""), "UNDEFINED [N, 1, 2, 2]");
  EXPECT_EQ(value_of(told, "input \"w\""), "");
  EXPECT_EQ(value_of(told, "output \"y\""), "no tensor");
  EXPECT_EQ(told.metadata.at("classes"), "[]");
  ASSERT_EQ(told.groups.size(), 1u);
  EXPECT_EQ(told.state, 0u);
  const auto& tensors = told.groups[0].tensors;
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[1].name, "w");
  EXPECT_EQ(tensors[1].type, "float32");
  EXPECT_EQ(tensors[1].shape, (Shape{2, 4}));
  EXPECT_EQ(tensors[1].elements.mean, 0.5);
  EXPECT_EQ(tensors[2].name, "half");
  EXPECT_EQ(tensors[2].type, "float16");
  EXPECT_EQ(tensors[2].elements.max, 1.0);
  EXPECT_EQ(tensors[2].elements.nan, 1);
}

TEST_F(OnnxContents, TellOfTensorsThatAreNotReadOrBroken) {
  graph().mutable_initializer(0)->set_data_type(TensorProto::INT8);
  graph().mutable_initializer(1)->set_dims(0, std::int64_t{1} << 62);
  TensorProto& deep = tensor("deep", std::vector<std::int64_t>(100, 1));
  deep.set_data_location(TensorProto::EXTERNAL);
  const FileContents told = contents();
  const auto& tensors = told.groups.at(0).tensors;
  EXPECT_EQ(tensors[0].type, "INT8");
  EXPECT_EQ(tensors[0].reading, Reading::not_read);
  EXPECT_THAT(tensors[0].problem, HasSubstr("its type is INT8; weights are read as FLOAT,"));
  EXPECT_EQ(tensors[1].type, "");
  EXPECT_EQ(tensors[1].reading, Reading::damaged);
  EXPECT_THAT(tensors[1].problem, HasSubstr("its dimensions [4611686018427387904, 4] cannot be"));
  EXPECT_EQ(tensors[2].shape, Shape{});
  EXPECT_THAT(tensors[2].problem, HasSubstr("it has 100 dimensions"));
}

TEST_F(OnnxContents, ListsAreShort) {
  for (int i = 0; i < 100; ++i) {
    graph().add_input()->set_name(fmt::format("in{}", i));
    node(fmt::format("Operator{}", i), "", {}, fmt::format("o{}", i));
  }
  const FileContents told = contents();
  EXPECT_THAT(value_of(told, "nodes"), testing::StartsWith("103: "));
  EXPECT_THAT(value_of(told, "nodes"), testing::EndsWith(" and 87 more"));
  EXPECT_EQ(told.values.size(), 3u + 16u);
  EXPECT_EQ(told.left_out, 102u - 16u);
}

TEST_F(OnnxContents, OtherFilesAreRefused) {
  write_file(folder_ / "m.onnx", "nothing of the kind");
  EXPECT_EQ(
      error_of([&] { onnx_contents_of(folder_ / "m.onnx"); }),
      fmt::format("cannot read {}: it is not an ONNX file, or is cut off", (folder_ / "m.onnx").string()));
}

TEST(OnnxContentsOfGoldenFiles, NameEveryTensor) {
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(IO_GOLDEN_FOLDER "/onnx")) {
    if (file.path().extension() != ".onnx") continue;
    SCOPED_TRACE(file.path());
    ++files;
    const FileContents told = onnx_contents_of(file.path());
    ASSERT_EQ(told.groups.size(), 1u);
    for (const StoredTensor& tensor : told.groups[0].tensors) {
      EXPECT_EQ(tensor.problem, "");
      EXPECT_EQ(tensor.elements.finite, tensor.shape.count()) << tensor.name;
    }
  }
  EXPECT_EQ(files, 29);
}

}  // namespace
}  // namespace convoy::test
