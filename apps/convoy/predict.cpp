// convoy predict: says what is on pictures.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/convoy/classification.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/picture.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "convoy/inference.h"

namespace convoy {
namespace {

struct PredictFlags {
  CheckpointFlags trained;
  std::vector<std::filesystem::path> pictures;
  DeviceFlags device;
  bool json = false;
};

/// The pictures that could be read, as a data set whose labels are all 0.
struct Pictures {
  std::vector<std::string> files;
  Dataset dataset;
};

/// Reads the pictures. Reports each one that cannot be read, and goes on.
Pictures read_pictures(const PredictFlags& flags, const TrainedModel& trained) {
  // In Fashion-MNIST clothes fill the image. In MNIST digits have a margin.
  const Framing framing = trained.dataset == "fashion-mnist" ? Framing::whole : Framing::digit;
  Pictures pictures;
  Dataset& dataset = pictures.dataset;
  dataset.name = "pictures";
  dataset.image = trained.model.input;
  dataset.classes = class_count(trained.model);
  dataset.normalization = image_format(trained.dataset).normalization;
  for (const auto& file : flags.pictures) {
    try {
      const auto pixels = model_input(file, trained.model.input, framing);
      dataset.pixels.insert(dataset.pixels.end(), pixels.begin(), pixels.end());
      dataset.labels.push_back(0);
      pictures.files.push_back(file.string());
    } catch (const Error& error) {
      say_error(error.what());
    }
  }
  return pictures;
}

void print(const std::string& file, const std::vector<double>& probabilities,
           const std::vector<std::string>& names, bool json) {
  const auto best = static_cast<std::size_t>(std::max_element(probabilities.begin(), probabilities.end()) -
                                             probabilities.begin());
  if (json) {
    Json classes = Json::object();
    for (std::size_t c = 0; c < names.size(); ++c) classes[names[c]] = probabilities[c];
    emit({{"event", "prediction"}, {"file", file}, {"class", names[best]}, {"probabilities", classes}});
    return;
  }
  std::string line;
  for (std::size_t c = 0; c < names.size(); ++c) {
    const std::string entry = fmt::format("{} {:.1f} %", names[c], 100.0 * probabilities[c]);
    line += (c == 0 ? "" : "  ") + (c == best ? bold(entry) : entry);
  }
  fmt::print("{}: {}\n  {}\n", file, bold(names[best]), line);
}

int run_predict(const PredictFlags& flags) {
  const BackendChoice device = make_backend(flags.device);
  const TrainedModel trained = load_trained(flags.trained);
  const auto [files, pictures] = read_pictures(flags, trained);
  if (files.empty()) return 1;
  Inference inference(*device.backend, trained.model, trained.state,
                      std::min<std::int64_t>(100, pictures.count()));
  const std::vector<double> logits = inference.predict(pictures);
  report_plans(flags.device, *device.backend);

  const auto classes = static_cast<std::size_t>(pictures.classes);
  const auto names = class_names(trained.dataset, pictures.classes);
  for (std::size_t i = 0; i < files.size(); ++i) {
    print(files[i], softmax(std::span(logits).subspan(i * classes, classes)), names, flags.json);
  }
  return files.size() == flags.pictures.size() ? 0 : 1;
}

}  // namespace

Command add_predict(CLI::App& program) {
  const auto flags = std::make_shared<PredictFlags>();
  CLI::App& command = *program.add_subcommand("predict", "Name what is on pictures");
  command.add_option("images", flags->pictures, "Pictures of any size and colour (PNG, JPEG, BMP, ...)")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->option_text("IMAGE ...");
  command.add_option("--checkpoint", flags->trained.checkpoint, "model.ckpt of Convoy or PyTorch")
      ->required();
  add_model_flag(command, flags->trained.model, "the model.json beside the checkpoint, else convnet");
  command.add_option("--dataset", flags->trained.data.dataset,
                     "What the model was trained on: names the classes; without it the run.json beside the "
                     "checkpoint, else mnist");
  add_device_flags(command, flags->device);
  add_json_flag(command, flags->json);
  set_footer(command, "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt digit.png photo.jpg\n");
  return {&command, [flags] { return run_predict(*flags); }};
}

}  // namespace convoy
