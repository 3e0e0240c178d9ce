// Makes models with weights that are not initial ones, and says what a model puts out.
//   logits_tool names                                        of the built-in models
//   logits_tool make MODEL CHANNELS SIZE FOLDER              MODEL is a built-in one, or every-layer
//   logits_tool logits FOLDER IMAGES LOGITS                  bytes [N, C, H, W] in, float64 [N, classes] out
// The folder has model.json and model.ckpt.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"
#include "tests/io/onnx_models.h"

using namespace convoy;

namespace {

namespace fs = std::filesystem;

void make(const std::string& name, const std::string& channels, const std::string& size,
          const fs::path& folder) {
  const Model model =
      name == "every-layer"
          ? test::every_layer()
          : builtin_model(name, {std::stoll(channels), std::stoll(size), std::stoll(size)}, 10);
  fs::create_directories(folder);
  write_atomically(folder / "model.json", to_json(model));
  save_checkpoint(test::moved_state(model), folder / "model.ckpt");
}

void logits(const fs::path& folder, const fs::path& images, const fs::path& out) {
  const Model model = load_model(folder / "model.json");
  InputFile file(images);
  Dataset data{.name = "images", .image = model.input, .classes = class_count(model)};
  data.pixels.resize(static_cast<std::size_t>(file.bytes()));
  file.read(data.pixels);
  data.labels.assign(data.pixels.size() / static_cast<std::size_t>(model.input.count()), 0);
  if (model.preparation) data.normalization = model.preparation->normalization;
  DeviceOptions strict;
  strict.precision = Precision::fp32;
  const BackendChoice choice = make_backend("auto", strict);
  const StateDict state = load_checkpoint(folder / "model.ckpt");
  const std::vector<double> values = Inference(*choice.backend, model, state, 100).predict(data);
  write_atomically(out, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 5 && words[0] == "make") {
      make(words[1], words[2], words[3], words[4]);
    } else if (words.size() == 4 && words[0] == "logits") {
      logits(words[1], words[2], words[3]);
    } else if (words.size() == 1 && words[0] == "names") {
      for (const std::string_view name : builtin_model_names())
        std::printf("%s\n", std::string(name).c_str());
    } else {
      std::fputs("usage: see the first lines of logits_tool.cpp\n", stderr);
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
