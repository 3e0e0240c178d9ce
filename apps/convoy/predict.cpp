// convoy predict: says what is on pictures.
#include <fmt/format.h>
#include <stb_image_write.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/convoy/augmentation_flags.h"
#include "apps/convoy/classification.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/model_input.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "convoy/inference.h"
#include "engine/core/atomic_file.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

struct PredictFlags {
  CheckpointFlags trained;
  std::vector<std::filesystem::path> pictures;
  std::string framing = "auto";
  std::string invert = "auto";
  std::filesystem::path save_input;
  TestTimeAugmentation views;
  DeviceFlags device;
  bool json = false;
};

/// The pictures that could be read, as a data set whose labels are all 0.
struct Pictures {
  std::vector<std::string> files;
  std::vector<std::string> how;  // each was prepared
  Dataset dataset;
};

PictureOptions options_of(const PredictFlags& flags, const Preparation& preparation) {
  PictureOptions options;
  const auto framings = framing_names();
  const auto framing = std::ranges::find(framings, flags.framing);
  if (framing != framings.end()) options.framing = static_cast<Framing>(framing - framings.begin());
  if (flags.invert != "auto") options.invert = flags.invert == "yes";
  options.transpose = flags.trained.images.transpose.value_or(false);
  if (options.transpose && preparation.transposed) {
    say("note: the model saw upright images, for its training data were transposed; so pictures are not");
    options.transpose = false;
  }
  return options;
}

void save_png(const std::filesystem::path& file, const std::vector<std::uint8_t>& planes,
              const Shape& image) {
  const auto channels = static_cast<std::size_t>(image[0]), count = planes.size() / channels;
  std::vector<std::uint8_t> pixels;
  for (std::size_t i = 0; i < planes.size(); ++i)
    pixels.push_back(planes[i % channels * count + i / channels]);
  std::string png;
  const auto append = [](void* to, void* bytes, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
  };
  const auto width = static_cast<int>(image[2]), height = static_cast<int>(image[1]);
  stbi_write_png_to_func(append, &png, width, height, static_cast<int>(channels), pixels.data(), 0);
  write_atomically(file, png);
}

/// Reads the pictures. Reports each one that cannot be read, and goes on.
Pictures read_pictures(const PredictFlags& flags, const TrainedModel& trained) {
  const PictureOptions options = options_of(flags, trained.preparation);
  Pictures pictures;
  Dataset& dataset = pictures.dataset;
  dataset.name = "pictures";
  dataset.image = trained.model.input;
  dataset.classes = class_count(trained.model);
  dataset.normalization = trained.preparation.normalization;
  for (const auto& file : flags.pictures) {
    try {
      const ModelInput input = model_input(file, trained.model.input, trained.preparation, options);
      if (!flags.save_input.empty()) save_png(flags.save_input, input.pixels, trained.model.input);
      if (flags.device.verbose && !input.left_out.empty()) {
        say(fmt::format("{}: left out: {}", file.string(), input.left_out));
      }
      if (flags.device.verbose && !input.note.empty()) say(fmt::format("{}: {}", file.string(), input.note));
      dataset.pixels.insert(dataset.pixels.end(), input.pixels.begin(), input.pixels.end());
      dataset.labels.push_back(0);
      pictures.files.push_back(file.string());
      pictures.how.push_back(input.how);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      say_error(error.what());
    }
  }
  return pictures;
}

struct Prediction {
  const std::string& file;
  const std::string& how;
  std::span<const double> logits;
};

void print(const Prediction& prediction, const std::vector<std::string>& names, bool json) {
  const auto& [file, how, logits] = prediction;
  const std::vector<double> probabilities = softmax(logits);
  const auto best = static_cast<std::size_t>(std::max_element(probabilities.begin(), probabilities.end()) -
                                             probabilities.begin());
  if (json) {
    Json classes = Json::object();
    for (std::size_t c = 0; c < names.size(); ++c) classes[names[c]] = probabilities[c];
    emit({{"event", "prediction"},
          {"file", file},
          {"class", names[best]},
          {"prepared", how},
          {"probabilities", classes},
          {"logits", logits}});
    return;
  }
  std::string line;
  for (std::size_t c = 0; c < names.size(); ++c) {
    const std::string entry = fmt::format("{} {:.1f} %", names[c], 100.0 * probabilities[c]);
    line += (c == 0 ? "" : "  ") + (c == best ? bold(entry) : entry);
  }
  fmt::print("{}: {} ({})\n  {}\n", file, bold(names[best]), how, line);
}

int run_predict(const PredictFlags& flags) {
  if (!flags.save_input.empty() && flags.pictures.size() > 1) {
    throw UsageError(fmt::format("--save-input takes one picture at a time, not {}", flags.pictures.size()));
  }
  const BackendChoice device = make_backend(flags.device);
  const TrainedModel trained = load_trained(flags.trained);
  const Pictures read = read_pictures(flags, trained);
  const Dataset& pictures = read.dataset;
  if (read.files.empty()) return 1;
  Inference inference(*device.backend, trained.model, trained.state,
                      std::min<std::int64_t>(100, pictures.count()));
  const std::vector<double> logits = inference.predict(pictures, flags.views);
  report_plans(flags.device, *device.backend);

  const auto classes = static_cast<std::size_t>(pictures.classes);
  const auto names = class_names(trained);
  for (std::size_t i = 0; i < read.files.size(); ++i) {
    print({read.files[i], read.how[i], std::span(logits).subspan(i * classes, classes)}, names, flags.json);
  }
  return read.files.size() == flags.pictures.size() ? 0 : 1;
}

}  // namespace

Command add_predict(CLI::App& program) {
  const auto flags = std::make_shared<PredictFlags>();
  CLI::App& command = *program.add_subcommand("predict", "Name what is on pictures");
  command.add_option("images", flags->pictures, "Pictures of any size and colour (PNG, JPEG, BMP, ...)")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->option_text("IMAGE ...");
  command
      .add_option("--checkpoint", flags->trained.checkpoint,
                  "model.ckpt of Convoy or PyTorch, or safetensors")
      ->required();
  add_model_flag(command, flags->trained.model, kModelOfCheckpoint);
  command.add_option("--dataset", flags->trained.data.dataset,
                     "What the model was trained on: names the classes; without it the run.json beside the "
                     "checkpoint, else mnist");
  command
      .add_option("--framing", flags->framing,
                  "mnist (cut out what is drawn, scale and centre it as MNIST did), fit (scale the whole "
                  "picture), crop (cut it to the model's proportions, then scale it), none (take only "
                  "pictures of the model's size) or auto (as the training data were "
                  "made; a picture of the model's size as it is)")
      ->check(CLI::IsMember({"auto", "mnist", "fit", "crop", "none"}))
      ->capture_default_str();
  command
      .add_option("--invert", flags->invert,
                  "Make the negative: yes, no, or auto (if the background is not that of the training data)")
      ->check(CLI::IsMember({"auto", "yes", "no"}))
      ->capture_default_str();
  command.add_option("--save-input", flags->save_input, "Write what the model sees of the picture as PNG")
      ->option_text("FILE")
      ->check(not_empty());
  add_image_flags(command, flags->trained.images,
                  "Exchange rows and columns of the picture, for a model that was trained elsewhere on "
                  "EMNIST's files as they are");
  add_tta_flag(command, flags->views);
  add_device_flags(command, flags->device);
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt digit.png photo.jpg\n"
             "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt --verbose --save-input seen.png "
             "photo.jpg\n"
             "  convoy predict --checkpoint pytorch.pt --mean 0.1307 --std 0.3081 digit.png\n");
  return {&command, [flags] { return run_predict(*flags); }};
}

}  // namespace convoy
