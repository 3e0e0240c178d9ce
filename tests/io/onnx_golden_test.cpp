// Networks as other programs write them (make_onnx_golden.py): what they put out there, they put out here.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "convoy/onnx.h"
#include "tests/io/onnx_models.h"
#include "tests/temporary_folder.h"

namespace convoy::test {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(IO_GOLDEN_FOLDER) / "onnx";

std::vector<std::string> names_of(const std::vector<NamedLayer>& layers) {
  std::vector<std::string> names;
  for (const NamedLayer& layer : layers) names.push_back(layer.name + " " + type_name(layer.layer));
  return names;
}

/// What softmax makes of rows of logits; its logarithm if `log`.
std::vector<double> softmax(std::vector<double> logits, std::size_t classes, bool log) {
  for (auto row = logits.begin(); row != logits.end(); row += static_cast<std::ptrdiff_t>(classes)) {
    const std::span<double> of(row, classes);
    double sum = 0.0;
    for (const double logit : of) sum += std::exp(logit);
    for (double& logit : of) logit = log ? logit - std::log(sum) : std::exp(logit) / sum;
  }
  return logits;
}

/// What the file puts out: logits, or what it makes of them in a last node that is left out here.
std::vector<double> outputs_of(const OnnxModel& read) {
  std::vector<double> logits = logits_of(read.model, read.state, byte_ramp(read.model, 2));
  const std::string last = read.notes.empty() ? "" : read.notes.back();
  const bool is_left_out = last.find("it is left out") != std::string::npos;
  if (!is_left_out) return logits;
  return softmax(logits, logits.size() / 2, last.find("LogSoftmax") != std::string::npos);
}

TEST(OnnxGolden, EveryNetworkPutsOutWhatItDidElsewhere) {
  const auto golden = nlohmann::json::parse(read_file(kFolder / "logits.json"));
  EXPECT_EQ(golden.size(), 29u);
  for (const auto& [file, logits] : golden.items()) {
    SCOPED_TRACE(file);
    const OnnxModel read = load_onnx(kFolder / file);
    const std::vector<double> got = outputs_of(read);
    std::vector<double> expected;
    for (const auto& row : logits) {
      for (const auto& logit : row) expected.push_back(logit.get<double>());
    }
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], expected[i], 1e-5 * std::max(1.0, std::abs(expected[i]))) << i;
    }
    EXPECT_EQ(read.model.name, std::filesystem::path(file).stem().string());
    EXPECT_FALSE(read.model.preparation);
    EXPECT_EQ(to_json(parse_model(to_json(read.model), "again")), to_json(read.model));
  }
}

TEST(OnnxGolden, LayersHaveTheNamesOfTheStateDict) {
  for (const char* file : {"torchscript-unfolded-convnet.onnx", "dynamo-convnet.onnx"}) {
    SCOPED_TRACE(file);
    const OnnxModel read = load_onnx(kFolder / file);
    std::vector<std::string> weights;
    for (const auto& [name, tensor] : read.state) weights.push_back(name);
    EXPECT_THAT(weights, testing::IsSupersetOf({"layer1.0.weight", "layer2.0.bias", "fc.weight", "fc.bias"}));
  }
}

TEST(OnnxGolden, BatchNormsAreKept) {
  const OnnxModel read = load_onnx(kFolder / "made-constants.onnx");
  EXPECT_THAT(names_of(read.model.layers),
              testing::ElementsAre("conv Conv2d", "norm BatchNorm2d", "pool MaxPool2d", "drop Dropout",
                                   "flat Flatten", "fc Linear"));
  const auto& norm = std::get<BatchNorm2d>(read.model.layers[1].layer);
  EXPECT_EQ(norm.eps, 1e-3);
  EXPECT_EQ(norm.momentum, 0.25);
  EXPECT_EQ(std::get<Dropout>(read.model.layers[3].layer).p, 0.25);
  EXPECT_EQ(find(read.state, "norm.weight")->values, (std::vector<double>{0.5, 1.5}));
}

TEST(OnnxGolden, ElementsBesideTheFileAreNeeded) {
  TemporaryFolder folder;
  std::filesystem::copy(kFolder / "dynamo-batch1-convnet.onnx", folder / "model.onnx");
  const std::string missing = error_of([&] { load_onnx(folder / "model.onnx"); });
  EXPECT_THAT(missing, testing::HasSubstr("dynamo-batch1-convnet.onnx.data"));
  write_file(folder / "dynamo-batch1-convnet.onnx.data", "short");
  EXPECT_THAT(error_of([&] { load_onnx(folder / "model.onnx"); }),
              testing::HasSubstr("onnx.data\" has not "));
}

}  // namespace
}  // namespace convoy::test
