#include "convoy/model_file.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::ThrowsMessage;

const std::filesystem::path kSource = CONVOY_SOURCE_DIR;

std::string read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

template <typename Type>
Type only_layer(const std::string& layer) {
  return std::get<Type>(parse_model(file_of(layer), "m.json").layers.at(0).layer);
}

TEST(ModelFile, DefaultsAreThoseOfTheStructs) {
  const auto conv = only_layer<Conv2d>(
      R"({"name": "c", "type": "Conv2d", "in_channels": 2, "out_channels": 3, "kernel_size": 5})");
  EXPECT_EQ(conv.in_channels, 2);
  EXPECT_EQ(conv.out_channels, 3);
  EXPECT_EQ(conv.kernel_size, (Extent{5, 5}));
  EXPECT_EQ(conv.stride, (Extent{1, 1}));
  EXPECT_EQ(conv.padding, (Extent{0, 0}));
  EXPECT_EQ(conv.dilation, (Extent{1, 1}));
  EXPECT_EQ(conv.groups, 1);
  EXPECT_TRUE(conv.bias);
  const auto bn = only_layer<BatchNorm2d>(R"({"name": "b", "type": "BatchNorm2d", "num_features": 2})");
  EXPECT_EQ(bn.eps, 1e-5);
  EXPECT_EQ(bn.momentum, 0.1);
  const auto pool = only_layer<AvgPool2d>(R"({"name": "p", "type": "AvgPool2d", "kernel_size": 2})");
  EXPECT_EQ(pool.stride, (Extent{0, 0}));
  EXPECT_TRUE(pool.count_include_pad);
  EXPECT_EQ(only_layer<Dropout>(R"({"name": "d", "type": "Dropout"})").p, 0.5);
}

TEST(ModelFile, KeepsHowTheTrainingImagesWereMade) {
  Model model = builtin_model("convnet", {1, 28, 28}, 10);
  EXPECT_FALSE(parse_model(to_json(model), "m.json").preparation.has_value());
  model.preparation = Preparation{.dataset = "mine",
                                  .normalization = {.mean = {0.1307f}, .std = {0.3081f}},
                                  .framing = Framing::mnist,
                                  .background = Background::light,
                                  .transposed = true,
                                  .classes = {"cat", "d\xc3\xb6g"}};
  const std::string text = to_json(model);
  EXPECT_THAT(text, testing::HasSubstr("0.1307\n"));  // as it was written, not as a double of the float
  const auto read = parse_model(text, "m.json").preparation;
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->dataset, "mine");
  EXPECT_EQ(read->normalization.mean, std::vector<float>{0.1307f});
  EXPECT_EQ(read->normalization.std, std::vector<float>{0.3081f});
  EXPECT_EQ(read->framing, Framing::mnist);
  EXPECT_EQ(read->background, Background::light);
  EXPECT_TRUE(read->transposed);
  EXPECT_EQ(read->classes, (std::vector<std::string>{"cat", "d\xc3\xb6g"}));
}

TEST(ModelFile, RefusesAPreparationThatIsNone) {
  const auto error_of = [](const std::string& preparation) {
    std::string text = to_json(builtin_model("convnet", {1, 28, 28}, 10));
    text.insert(1, "\"preparation\": " + preparation + ",");
    try {
      parse_model(text, "m.json");
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(error_of("{}"), "accepted");
  EXPECT_EQ(error_of(R"({"mean": 0.5, "std": [0.5]})"), "accepted");
  EXPECT_EQ(error_of("[]"), "m.json: 'preparation' must be an object");
  EXPECT_EQ(error_of(R"({"meen": [0]})"), "m.json: 'preparation': unknown key 'meen'; did you mean 'mean'?");
  EXPECT_EQ(error_of(R"({"framing": "fitt"})"),
            "m.json: 'preparation': 'framing': unknown word 'fitt'; did you mean 'fit'?");
  EXPECT_EQ(error_of(R"({"std": [0]})"), "m.json: 'preparation': 'std' must be above 0");
  for (const char* mean : {"[]", "\"0\"", "[\"0\"]", "[1e99]", "null"}) {
    EXPECT_EQ(error_of("{\"mean\": " + std::string(mean) + "}"),
              "m.json: 'preparation': 'mean' must be a number, or one for each channel");
  }
  for (const char* classes : {"\"cat\"", "[0]", "{}", "null", R"(["a\u001b[2J"])"}) {
    EXPECT_EQ(error_of("{\"classes\": " + std::string(classes) + "}"),
              "m.json: 'preparation': 'classes' must be a list of names without control characters");
  }
  EXPECT_EQ(error_of(R"({"framing": "crop", "classes": ["cat"]})"), "accepted");
  EXPECT_EQ(error_of(R"({"transposed": 1})"), "m.json: 'preparation': 'transposed' must be true or false");
}

TEST(ModelFile, EveryKeyIsRead) {
  const auto conv = only_layer<Conv2d>(
      R"({"name": "c", "type": "Conv2d", "in_channels": 2, "out_channels": 4, "kernel_size": [3, 2],
          "stride": [1, 2], "padding": [2, 1], "dilation": [3, 1], "groups": 2, "bias": false})");
  EXPECT_EQ(conv.kernel_size, (Extent{3, 2}));
  EXPECT_EQ(conv.stride, (Extent{1, 2}));
  EXPECT_EQ(conv.padding, (Extent{2, 1}));
  EXPECT_EQ(conv.dilation, (Extent{3, 1}));
  EXPECT_EQ(conv.groups, 2);
  EXPECT_FALSE(conv.bias);
  const auto bn = only_layer<BatchNorm2d>(
      R"({"name": "b", "type": "BatchNorm2d", "num_features": 2, "eps": 0.001, "momentum": 1})");
  EXPECT_EQ(bn.eps, 0.001);
  EXPECT_EQ(bn.momentum, 1.0);
  const auto max = only_layer<MaxPool2d>(
      R"({"name": "p", "type": "MaxPool2d", "kernel_size": [3, 2], "stride": [2, 1], "padding": 1})");
  EXPECT_EQ(max.kernel_size, (Extent{3, 2}));
  EXPECT_EQ(max.stride, (Extent{2, 1}));
  EXPECT_EQ(max.padding, (Extent{1, 1}));
  const auto average = only_layer<AvgPool2d>(
      R"({"name": "p", "type": "AvgPool2d", "kernel_size": 3, "stride": 2, "padding": [0, 1],
          "count_include_pad": false})");
  EXPECT_EQ(average.stride, (Extent{2, 2}));
  EXPECT_EQ(average.padding, (Extent{0, 1}));
  EXPECT_FALSE(average.count_include_pad);
  EXPECT_EQ(only_layer<Dropout>(R"({"name": "d", "type": "Dropout", "p": 0})").p, 0.0);
  const Model linear = parse_model(file_of(R"({"name": "f", "type": "Flatten"},
                 {"name": "l", "type": "Linear", "in_features": 128, "out_features": 3, "bias": false})"),
                                   "m.json");
  EXPECT_FALSE(std::get<Linear>(linear.layers[1].layer).bias);
}

// to_json writes every key, so equal texts mean equal models.
TEST(ModelFile, TorchsDefaultsMayBeWrittenOut) {
  const Model plain = parse_model(file_of(R"(
      {"name": "c", "type": "Conv2d", "in_channels": 2, "out_channels": 2, "kernel_size": 1},
      {"name": "b", "type": "BatchNorm2d", "num_features": 2}, {"name": "g", "type": "GroupNorm", "num_groups": 1,
       "num_channels": 2}, {"name": "r", "type": "ReLU"}, {"name": "m", "type": "MaxPool2d", "kernel_size": 2},
      {"name": "a", "type": "AvgPool2d", "kernel_size": 2}, {"name": "p", "type": "GlobalAvgPool2d"},
      {"name": "d", "type": "Dropout"}, {"name": "f", "type": "Flatten"},
      {"name": "l", "type": "Linear", "in_features": 2, "out_features": 3})"),
                                  "m.json");
  const Model written_out = parse_model(file_of(R"(
      {"name": "c", "type": "Conv2d", "in_channels": 2, "out_channels": 2, "kernel_size": [1, 1], "stride": [1, 1],
       "padding": [0, 0], "dilation": [1, 1], "groups": 1, "bias": true, "padding_mode": "zeros", "device": null,
       "dtype": null},
      {"name": "b", "type": "BatchNorm2d", "num_features": 2, "eps": 1e-05, "momentum": 0.1, "affine": true,
       "track_running_stats": true, "device": null, "dtype": null},
      {"name": "g", "type": "GroupNorm", "num_groups": 1, "num_channels": 2, "device": null, "dtype": null},
      {"name": "r", "type": "ReLU", "inplace": true},
      {"name": "m", "type": "MaxPool2d", "kernel_size": 2, "stride": null, "padding": 0, "dilation": [1, 1],
       "return_indices": false, "ceil_mode": false},
      {"name": "a", "type": "AvgPool2d", "kernel_size": 2, "stride": null, "ceil_mode": false, "divisor_override": null},
      {"name": "p", "type": "GlobalAvgPool2d", "output_size": [1, 1]},
      {"name": "d", "type": "Dropout", "p": 0.5, "inplace": false},
      {"name": "f", "type": "Flatten", "start_dim": 1, "end_dim": -1},
      {"name": "l", "type": "Linear", "in_features": 2, "out_features": 3, "bias": true, "device": null})"),
                                        "m.json");
  EXPECT_EQ(to_json(written_out), to_json(plain));
}

TEST(ModelFile, RoundTripsAllBuiltins) {
  for (const std::string_view name : builtin_model_names()) {
    SCOPED_TRACE(name);
    const Model model = builtin_model(std::string(name), {3, 32, 32}, 10);
    const std::string json = to_json(model);
    const Model again = parse_model(json, "m.json");
    EXPECT_EQ(to_json(again), json);
    EXPECT_EQ(again.name, model.name);
    EXPECT_EQ(again.input, model.input);
    EXPECT_EQ(summary(again, 7), summary(model, 7));
  }
}

TEST(ModelFile, WritesEveryKey) {
  Conv2d conv{
      .in_channels = 2, .out_channels = 4, .kernel_size = {3, 2}, .stride = {1, 2}, .padding = {2, 1}};
  conv.dilation = {3, 1};
  conv.groups = 2;
  conv.bias = false;
  const Model model =
      model_of({2, 8, 8}, {{"res", Residual{.body = {{"bn", BatchNorm2d{2, 0.1, 0.25}}}, .shortcut = {}}},
                           {"conv", conv},
                           {"pool", AvgPool2d{{3, 3}, {2, 2}, {0, 1}, false}},
                           {"max", MaxPool2d{}},
                           {"global", GlobalAvgPool2d{}},
                           {"drop", Dropout{0.125}},
                           {"relu", ReLU{}},
                           {"flat", Flatten{}},
                           {"fc", Linear{4, 2, false}}});
  const std::string expected = R"({
  "name": "test",
  "input": [2, 8, 8],
  "layers": [
    {"name": "res", "type": "Residual",
     "body": [{"name": "bn", "type": "BatchNorm2d", "num_features": 2, "eps": 0.1, "momentum": 0.25}],
     "shortcut": []},
    {"name": "conv", "type": "Conv2d", "in_channels": 2, "out_channels": 4, "kernel_size": [3, 2],
     "stride": [1, 2], "padding": [2, 1], "dilation": [3, 1], "groups": 2, "bias": false},
    {"name": "pool", "type": "AvgPool2d", "kernel_size": 3, "stride": 2, "padding": [0, 1],
     "count_include_pad": false},
    {"name": "max", "type": "MaxPool2d", "kernel_size": 2, "stride": 0, "padding": 0},
    {"name": "global", "type": "GlobalAvgPool2d"},
    {"name": "drop", "type": "Dropout", "p": 0.125},
    {"name": "relu", "type": "ReLU"},
    {"name": "flat", "type": "Flatten"},
    {"name": "fc", "type": "Linear", "in_features": 4, "out_features": 2, "bias": false}
  ]
})";
  const auto without_spaces = [](std::string text) {
    std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
    return text;
  };
  EXPECT_EQ(without_spaces(to_json(model)), without_spaces(expected));
  EXPECT_EQ(to_json(parse_model(expected, "m.json")), to_json(model));
}

TEST(ModelFile, WritesNothingThatItWouldNotRead) {
  Model model = builtin_model("convnet", {1, 28, 28}, 10);
  model.name = "a b";
  EXPECT_THROW(to_json(model), UsageError);
  EXPECT_THROW(to_json(single({1, 2, 2}, Linear{4, 2})), UsageError);
}

TEST(ModelFile, TheExampleLoads) {
  const Model model = load_model(kSource / "apps/examples/models/residual-mnist.json");
  EXPECT_EQ(model.name, "residual-mnist");
  EXPECT_EQ(model.input, (Shape{1, 28, 28}));
  EXPECT_EQ(class_count(model), 10);
  const auto conv = [](std::int64_t in, std::int64_t out, std::int64_t kernel) {
    return in * out * kernel * kernel + 2 * out;  // and its batch norm
  };
  EXPECT_EQ(parameter_count(model),
            conv(1, 16, 3) + conv(16, 32, 3) + conv(16, 32, 1) + 3 * conv(32, 32, 3) + 32 * 10 + 10);
  EXPECT_EQ(info_of(model, 2, "block1").output, (Shape{2, 32, 14, 14}));
}

TEST(ModelFile, TheReadmesExampleLoads) {
  const std::string readme = read(kSource / "engine/model/README.md");
  const std::string fence = "```json\n";
  const std::size_t begin = readme.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const std::size_t start = begin + fence.size();
  const Model model = parse_model(readme.substr(start, readme.find("```", start) - start), "README.md");
  EXPECT_EQ(class_count(model), 10);
  EXPECT_EQ(parameter_count(model), 8 * 25 + 8 + 392 * 10 + 10);
}

class ModelFileOnDisk : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Of this process alone: CTest runs the cases side by side.
  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("convoy-model-" + std::to_string(getpid()));
};

TEST_F(ModelFileOnDisk, Loads) {
  const Model model = builtin_model("lenet5", {1, 28, 28}, 10);
  std::ofstream(folder_ / "m.json") << to_json(model);
  EXPECT_EQ(to_json(load_model(folder_ / "m.json")), to_json(model));
}

TEST_F(ModelFileOnDisk, CannotBeRead) {
  const std::string missing = (folder_ / "none.json").string();
  EXPECT_THAT([&] { load_model(missing); },
              ThrowsMessage<Error>("cannot read " + missing + ": No such file or directory"));
  EXPECT_THAT([&] { load_model(folder_); }, ThrowsMessage<Error>("cannot read " + folder_.string() +
                                                                 ": it is a folder, not a regular file"));
}

TEST_F(ModelFileOnDisk, TooLarge) {
  const std::string large = (folder_ / "large.json").string();
  std::ofstream(large) << std::string(3 << 20, ' ');
  EXPECT_THAT([&] { load_model(large); },
              ThrowsMessage<UsageError>(large + ": is larger than 1048576 bytes, so it is no model file"));
}

}  // namespace
}  // namespace convoy
