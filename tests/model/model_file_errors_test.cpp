// Every way in which a model file can be wrong.
#include <gmock/gmock.h>

#include "convoy/error.h"
#include "convoy/model_file.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::ThrowsMessage;

void expect_refused(const std::string& text, const std::string& problem) {
  EXPECT_THAT([&] { parse_model(text, "m.json"); }, ThrowsMessage<UsageError>("m.json" + problem)) << text;
}

TEST(ModelFile, MalformedJson) {
  for (const char* text :
       {"", "{", "[1,", R"({"name": "m",})", "{\"name\": \"\xff\"}", R"({"name": 1e999})", "nul"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT([&] { parse_model(text, "m.json"); },
                ThrowsMessage<UsageError>(AllOf(StartsWith("m.json: malformed JSON: "), Not(HasSubstr("\n")),
                                                Not(HasSubstr("[json.exception")))));
  }
  EXPECT_THAT([] { parse_model("\"" + std::string(10'000, 'x'), "m.json"); },
              ThrowsMessage<UsageError>(AllOf(HasSubstr("malformed JSON"), EndsWith("..."))));
}

TEST(ModelFile, HostileJson) {
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += open;
    expect_refused(text, ": JSON is nested more than 64 deep");
  }
  expect_refused(R"({"name": "m", "name": "n"})", ": key 'name' appears twice in one object");
  std::string keys;
  for (int i = 0; i < 33; ++i) keys += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\": 0";
  expect_refused("{" + keys + "}", ": an object has more than 32 keys");
  expect_refused(std::string((1 << 20) + 1, ' '), ": is larger than 1048576 bytes, so it is no model file");
  std::string nested = R"({"name": "r", "type": "ReLU"})";
  for (int i = 0; i < 9; ++i) nested = R"({"name": "r", "type": "Residual", "body": [)" + nested + "]}";
  expect_refused(
      file_of(nested),
      ": layer 'r.r.r.r.r.r.r.r.r' (Residual): residuals are nested more than 8 deep; flatten the model");
}

TEST(ModelFile, WrongModels) {
  expect_refused("[]", ": a model must be an object");
  expect_refused("{}", ": needs the key 'name'");
  expect_refused(R"({"name": "m", "layers": []})", ": needs the key 'input'");
  expect_refused(R"({"name": "m", "input": [1, 2, 2]})", ": needs the key 'layers'");
  expect_refused(R"({"name": 3, "input": [1, 2, 2], "layers": []})",
                 ": 'name' must be a string, but is of type number");
  expect_refused(R"({"name": "m", "input": 3, "layers": []})",
                 ": 'input' must be an array of integers, but is of type number");
  expect_refused(R"({"name": "m", "input": [1, 1, 1, 1, 1, 1, 1, 1, 1], "layers": []})",
                 ": 'input' has 9 entries, which are too many");
  expect_refused(R"({"name": "m", "input": [1, 2.5, 2], "layers": []})",
                 ": 'input' must be an integer, but is 2.5");
  expect_refused(R"({"name": "m", "input": [1, 2], "layers": [{"name": "r", "type": "ReLU"}]})",
                 ": model 'm': input [1, 2] is not an image shape [C, H, W] of positive sizes");
  expect_refused(R"({"name": "m", "input": [1, 2, 2], "layers": {}})",
                 ": 'layers' must be an array of layers, but is of type object");
  expect_refused(R"({"name": "m", "input": [1, 2, 2], "layers": []})", ": model 'm' has no layers");
  expect_refused(R"({"name": "m", "input": [1, 2, 2], "layers": [], "layer": 1})",
                 ": unknown key 'layer'; did you mean 'layers'?");
  expect_refused(
      R"({"name": "../m", "input": [1, 2, 2], "layers": [{"name": "r", "type": "ReLU"}]})",
      ": model name '../m' must be letters, digits, '_' and '-' in parts joined by single dots, 128 at most");
}

TEST(ModelFile, WrongLayers) {
  expect_refused(file_of("3"), ", layers[0]: a layer must be an object");
  expect_refused(file_of(R"({"type": "ReLU"})"), ", layers[0]: needs the key 'name'");
  expect_refused(file_of(R"({"name": "a"})"), ", layers[0]: needs the key 'type'");
  expect_refused(file_of(R"({"name": "a", "type": 1})"),
                 ", layers[0]: 'type' must be a string, but is of type number");
  expect_refused(file_of(R"({"name": "a", "type": "Conv2D"})"),
                 ": layer 'a': unknown type 'Conv2D'; did you mean 'Conv2d'?");
  std::string known;
  for (const Layer& layer : layers_of_each_type()) known += (known.empty() ? "" : ", ") + type_name(layer);
  expect_refused(file_of(R"({"name": "a", "type": "Transformer"})"),
                 ": layer 'a': unknown type 'Transformer'; known are " + known);
  for (const std::string type :
       {"GELU", "PReLU", "ReLU6", "SELU", "Conv3d", "BatchNorm1d", "Dropout2d", "AdaptiveAvgPool2d"}) {
    expect_refused(
        file_of(R"({"name": "a", "type": ")" + type + R"("})"),
        ": layer 'a': '" + type + "' of torch.nn is not among the layers that are known here: " + known);
  }
  expect_refused(file_of(R"({"name": "a", "type": "ReLU", "negative_slope": 0.1})"),
                 ": layer 'a' (ReLU): unknown key 'negative_slope'; known are name, type, inplace");
  expect_refused(file_of(R"({"name": "a", "type": "MaxPool2d", "kernel": 2})"),
                 ": layer 'a' (MaxPool2d): needs the key 'kernel_size'");
  expect_refused(file_of(R"({"name": "a", "type": "MaxPool2d", "kernel_size": 2, "strid": 2})"),
                 ": layer 'a' (MaxPool2d): unknown key 'strid'; did you mean 'stride'?");
  expect_refused(file_of(R"({"name": "r", "type": "ReLU"}, {"name": "r", "type": "ReLU"})"),
                 ": layer 'r' (ReLU): the name is taken by another layer; rename one of them");
  expect_refused(
      file_of(R"({"name": "fc", "type": "Linear", "in_features": 128, "out_features": 3})"),
      ": layer 'fc' (Linear): weight [3, 128] needs an input [N, 128], but gets [1, 2, 8, 8]; put a Flatten "
      "in front");
}

TEST(ModelFile, WrongValues) {
  const auto conv = [](const std::string& keys) {
    return file_of(R"({"name": "a", "type": "Conv2d", "in_channels": 2, "out_channels": 3, )" + keys + "}");
  };
  const std::string where = ": layer 'a' (Conv2d): ";
  expect_refused(conv(R"("kernel_size": "3")"),
                 where + "'kernel_size' must be an integer, but is of type string");
  expect_refused(conv(R"("kernel_size": 3.0)"), where + "'kernel_size' must be an integer, but is 3.0");
  expect_refused(conv(R"("kernel_size": 9223372036854775808)"),
                 where + "'kernel_size' must be an integer, but is 9223372036854775808");
  expect_refused(conv(R"("kernel_size": [3])"),
                 where + "'kernel_size' must be one integer or [height, width], but has 1 entries");
  expect_refused(conv(R"("kernel_size": [3, null])"),
                 where + "'kernel_size' must be an integer, but is of type null");
  expect_refused(conv(R"("kernel_size": 3, "bias": 1)"),
                 where + "'bias' must be true or false, but is of type number");
  expect_refused(conv(R"("kernel_size": -3)"),
                 where + "kernel_size is [-3, -3], but both must be from 1 to 2147483647");
  expect_refused(file_of(R"({"name": "b", "type": "BatchNorm2d", "num_features": 2, "eps": "tiny"})"),
                 ": layer 'b' (BatchNorm2d): 'eps' must be a number, but is of type string");
}

TEST(ModelFile, OtherValuesOfTorchsKeys) {
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {R"("Conv2d", "in_channels": 2, "out_channels": 3, "kernel_size": 1)", "padding_mode", R"("reflect")"},
      {R"("Conv2d", "in_channels": 2, "out_channels": 3, "kernel_size": 1)", "dtype", R"("float64")"},
      {R"("BatchNorm2d", "num_features": 2)", "affine", "false"},
      {R"("BatchNorm2d", "num_features": 2)", "track_running_stats", "false"},
      {R"("MaxPool2d", "kernel_size": 2)", "ceil_mode", "true"},
      {R"("MaxPool2d", "kernel_size": 2)", "dilation", "2"},
      {R"("MaxPool2d", "kernel_size": 2)", "dilation", "[1,2]"},
      {R"("AvgPool2d", "kernel_size": 2)", "divisor_override", "3"},
      {R"("GlobalAvgPool2d")", "output_size", "7"},
      {R"("Flatten")", "start_dim", "2"}};
  for (const auto& [type, key, value] : cases) {
    SCOPED_TRACE(type + key);
    EXPECT_THAT(
        [&] {
          parse_model(file_of(R"({"name": "a", "type": )" + type + ", \"" + key + "\": " + value + "}"),
                      "m.json");
        },
        testing::ThrowsMessage<UsageError>(
            testing::AllOf(testing::HasSubstr("'" + key + "' may only be "),
                           testing::EndsWith("here, which is the default, but is " + value))));
  }
  expect_refused(file_of(R"({"name": "a", "type": "ReLU", "inplace": 1})"),
                 ": layer 'a' (ReLU): 'inplace' must be boolean, but is of type number");
}

TEST(ModelFile, InsideAResidualMessagesGiveTheFullName) {
  expect_refused(
      file_of(R"({"name": "r", "type": "Residual", "body": [{"name": "c", "type": "Dropout", "q": 1}]})"),
      ": layer 'r.c' (Dropout): unknown key 'q'; did you mean 'p'?");
  expect_refused(file_of(R"({"name": "r", "type": "Residual", "body": [{"type": "ReLU"}]})"),
                 ": layer 'r' (Residual), body[0]: needs the key 'name'");
  expect_refused(file_of(R"({"name": "r", "type": "Residual"})"),
                 ": layer 'r' (Residual): needs the key 'body'");
}

}  // namespace
}  // namespace convoy
