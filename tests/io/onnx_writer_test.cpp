// What save_onnx writes, as a message and as load_onnx reads it.
#include <gmock/gmock.h>
#include <onnx/onnx_pb.h>

#include <map>
#include <nlohmann/json.hpp>

#include "convoy/builtin.h"
#include "convoy/fold.h"
#include "convoy/onnx.h"
#include "tests/io/onnx_models.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OnnxWriter : public testing::Test {
 protected:
  ::onnx::ModelProto written(const Model& model, const StateDict& state,
                             const std::vector<std::string>& classes = {}) {
    save_onnx(model, state, classes, folder_ / "model.onnx");
    ::onnx::ModelProto message;
    EXPECT_TRUE(message.ParseFromString(read_file(folder_ / "model.onnx")));
    return message;
  }

  static std::map<std::string, const ::onnx::NodeProto*> by_name(const ::onnx::ModelProto& message) {
    std::map<std::string, const ::onnx::NodeProto*> nodes;
    for (const auto& node : message.graph().node()) nodes.emplace(node.name(), &node);
    return nodes;
  }

  TemporaryFolder folder_;
};

TEST_F(OnnxWriter, TheConvNetIsTheGraphThatIsExpected) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  const auto message = written(model, moved_state(model));
  EXPECT_EQ(message.ir_version(), 8);
  ASSERT_EQ(message.opset_import_size(), 1);
  EXPECT_EQ(message.opset_import(0).version(), 17);
  EXPECT_EQ(message.producer_name(), "convoy");
  const auto& graph = message.graph();
  std::vector<std::string> types;
  for (const auto& node : graph.node()) types.push_back(node.op_type());
  EXPECT_THAT(types, ElementsAre("Conv", "BatchNormalization", "Relu", "MaxPool", "Conv",
                                 "BatchNormalization", "Relu", "MaxPool", "Flatten", "Gemm"));
  EXPECT_EQ(graph.node(0).name(), "layer1.0");
  EXPECT_EQ(graph.node(0).input(1), "layer1.0.weight");
  EXPECT_EQ(graph.node(9).output(0), "logits");
  const auto& input = graph.input(0);
  EXPECT_EQ(input.name(), "input");
  const auto& shape = input.type().tensor_type().shape();
  EXPECT_EQ(shape.dim(0).dim_param(), "batch");
  EXPECT_EQ(shape.dim(1).dim_value(), 1);
  EXPECT_EQ(shape.dim(3).dim_value(), 28);
  EXPECT_EQ(graph.output(0).type().tensor_type().shape().dim(1).dim_value(), 10);
  EXPECT_EQ(graph.initializer_size(), 14) << "all but the two counters";
}

TEST_F(OnnxWriter, TellsClassesAndPreparation) {
  const Model model = every_layer();
  const auto message = written(model, moved_state(model), {"a", "\"b\"", "c"});
  std::map<std::string, std::string> metadata;
  for (const auto& entry : message.metadata_props()) metadata.emplace(entry.key(), entry.value());
  EXPECT_EQ(nlohmann::json::parse(metadata.at("classes")), nlohmann::json::array({"a", "\"b\"", "c"}));
  const auto preparation = nlohmann::json::parse(metadata.at("preparation"));
  EXPECT_EQ(preparation["mean"], nlohmann::json::array({0.25, 0.5}));
  EXPECT_EQ(preparation["std"], nlohmann::json::array({0.5, 0.25}));
  EXPECT_EQ(preparation["framing"], "mnist");
}

TEST_F(OnnxWriter, EveryLayerIsReadAsItWas) {
  const Model model = every_layer();
  const StateDict state = moved_state(model);
  save_onnx(model, state, {}, folder_ / "model.onnx");
  const OnnxModel read = load_onnx(folder_ / "model.onnx");
  EXPECT_EQ(to_json(read.model), to_json(model));
  EXPECT_EQ(read.state, state);
}

TEST_F(OnnxWriter, EveryBuiltInModelIsReadAsItWas) {
  for (const std::string_view name : builtin_model_names()) {
    SCOPED_TRACE(name);
    const Model model = builtin_model(std::string(name), {3, 32, 32}, 10);
    const StateDict state = moved_state(model);
    save_onnx(model, state, {}, folder_ / "model.onnx");
    const OnnxModel read = load_onnx(folder_ / "model.onnx");
    EXPECT_EQ(to_json(read.model), to_json(model));
    EXPECT_TRUE(read.state == state);
  }
}

TEST_F(OnnxWriter, AFoldedModelHasNoBatchNormAndTheSameLogits) {
  const Model model = every_layer();
  const StateDict state = moved_state(model);
  const FoldedModel folded = fold_batch_norm(model, state);
  const auto message = written(folded.model, folded.state);
  for (const auto& node : message.graph().node()) EXPECT_NE(node.op_type(), "BatchNormalization");
  const OnnxModel read = load_onnx(folder_ / "model.onnx");
  const Dataset images = byte_ramp(model, 2);
  const auto before = logits_of(model, state, images), after = logits_of(read.model, read.state, images);
  ASSERT_EQ(before.size(), 6u);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(after[i], before[i], 1e-5) << i;
}

TEST_F(OnnxWriter, WritesNothingIfTheCheckFails) {
  const Model model = every_layer();
  const auto refuse = [&](const std::filesystem::path& temporary) {
    EXPECT_EQ(load_onnx(temporary).model.layers.size(), model.layers.size());
    throw Error("no");
  };
  EXPECT_EQ(error_of([&] { save_onnx(model, moved_state(model), {}, folder_ / "model.onnx", refuse); }),
            "no");
  EXPECT_EQ(folder_.files(), 0);
}

TEST_F(OnnxWriter, RefusesAStateOfAnotherModelAndAFolder) {
  const Model model = every_layer();
  EXPECT_THAT(error_of([&] { save_onnx(model, {}, {}, folder_ / "model.onnx"); }),
              HasSubstr("stem.conv.weight"));
  EXPECT_THAT(error_of([&] { save_onnx(model, moved_state(model), {}, folder_ / "no/model.onnx"); }),
              HasSubstr("no/model.onnx"));
  EXPECT_THAT(error_of([&] { save_onnx(model, moved_state(model), {}, folder_.path()); }),
              HasSubstr("it is a folder"));
}

}  // namespace
}  // namespace convoy::test
